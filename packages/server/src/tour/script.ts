/** The words of one chapter. What it does stands in acts.ts, under the same name. */
export interface ChapterWords {
  readonly id: ChapterId;
  readonly title: string;
  readonly idea: string;
  readonly doing: string;
  readonly question: string;
  readonly answer: string;
}

export const CHAPTER_IDS = [
  'reads-and-writes',
  'refused-write',
  'add-replica',
  'lag',
  'stale-read',
  'failover',
  'return',
  'kill-two',
  'names',
] as const;

export type ChapterId = (typeof CHAPTER_IDS)[number];

/** The guided tour in the order in which it is told. */
export const SCRIPT: readonly ChapterWords[] = [
  {
    id: 'reads-and-writes',
    title: 'Where writes and reads go',
    idea: 'One server, the primary, takes every write. It sends a log of all its changes (the WAL) to the replicas, which replay it and so become the same. A read changes nothing, so any server that is fresh enough may answer it.',
    doing: "Nothing is changed. The blog's readers and its writer go on, and it is counted who answers them.",
    question: 'A busy blog has 100 reads for each write. What do more replicas do for it?',
    answer:
      'They take reads off each other: with twice the replicas each answers half. The writes all stay with the primary, but they are the small part.',
  },
  {
    id: 'refused-write',
    title: 'A replica refuses to write',
    idea: 'If two servers took writes, they would drift apart, and nobody could say which is right. So a replica refuses them. The router knows what a statement does and sends it to the right server; the application has one address.',
    doing: 'The same INSERT is sent to a replica directly, and then through the router.',
    question: 'The application has a list of servers and picks one at random. What happens to its writes?',
    answer: 'Most fail with SQLSTATE 25006. Through the router they all arrive: it sends them to whoever is the primary at that moment.',
  },
  {
    id: 'add-replica',
    title: 'One more replica',
    idea: 'A new replica begins as a copy of the primary, taken while the primary works, and then follows it. From then on it takes its share of the reads.',
    doing: 'A replica is added. It stays until you remove it.',
    question: 'Reads are now spread wider. Why are the writes not?',
    answer:
      'Each replica replays every write, so each has all the work of all writes already. Replicas multiply reads; for more writes you need a bigger primary, or to split the data.',
  },
  {
    id: 'lag',
    title: 'Replication takes time',
    idea: 'The WAL is sent, received, flushed and replayed, one after the other. A replica that is behind answers with the past. How far behind, in bytes and in milliseconds, is its lag.',
    doing:
      'One replica is told to replay every commit 4 s late (recovery_min_apply_delay), data is written, and the delay is taken away again.',
    question: 'The delayed replica has received all of the WAL. Are the new commits safe on it?',
    answer:
      'Yes: they are on its disk, which is what the primary waits for. They cannot be seen there yet. Safe and visible are two things, and so lag has stages.',
  },
  {
    id: 'stale-read',
    title: 'A stale read, and how it is prevented',
    idea: 'An author saves a post, reads it, and sees the old text: the read went to a replica that was behind. At the level eventual this can happen. At strong the router compares positions: a replica may answer only once it has replayed the last acknowledged write.',
    doing: 'One replica is delayed again, a post is changed, and it is read at both levels. Then the delay is taken away.',
    question: 'Why is not every read simply sent to the primary?',
    answer:
      'Then the replicas would be idle, and the primary the limit again. Only reads that no replica can answer yet wait a moment or go there.',
  },
  {
    id: 'failover',
    title: 'The primary dies',
    idea: 'The others notice, agree on a new term, promise to take nothing more from the old primary, and the replica with the most WAL is promoted. Meanwhile the router holds statements; connections stay open.',
    doing: "The primary's postmaster is killed (SIGKILL) while a client writes as fast as it can.",
    question: 'Which acknowledged writes does the new primary lack?',
    answer:
      'None: before a commit was acknowledged at least one replica had it on its disk, and the election always hears from such a one.',
  },
  {
    id: 'return',
    title: 'The old primary comes back',
    idea: 'It may have WAL that nobody else has: writes that it never acknowledged. So it must not simply go on. It joins the new term as a replica; what diverged is set aside and rewound, or it is copied anew.',
    doing: 'Nothing is done to it: it is watched until it follows the new primary.',
    question: 'What if it came back and still believed to be the primary?',
    answer:
      'It could acknowledge nothing. Its replicas have promised a newer term, and stream under names that carry it: an old primary waits for acknowledgements that never come.',
  },
  {
    id: 'kill-two',
    title: 'More replicas do not make you safe by themselves',
    idea: 'A copy protects a commit only if the copy was made before the commit was acknowledged. Ten replicas that lag lose the same last second as one. What counts is whose acknowledgement a commit waits for, and that whoever is elected has it.',
    doing: 'The primary and one of its replicas are killed at the same moment, while a client writes.',
    question: 'Suppose that both had been lost for good. May the last replica lead?',
    answer:
      'Not by itself when it is the last of two: a commit may have waited for the other one. Understudy then waits for one of them, or for a person who accepts the loss (understudy failover --accept-data-loss).',
  },
  {
    id: 'names',
    title: 'Names',
    idea: 'The roles have had many names: master and slave, leader and follower, primary and standby, primary and replica. They mean the same: one takes the writes, the others copy it. Here it is primary and replica.',
    doing: 'Each server is asked, in PostgreSQL’s own words, what it is.',
    question: 'Is the primary a special machine?',
    answer:
      'No. Primary is a role that a member has for a term. Any member that has the data can have it, and a change of it is an ordinary event.',
  },
];
