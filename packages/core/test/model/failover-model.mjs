// An executable model of the failover protocol of DESIGN §5: it visits every reachable state of a small cluster and checks that no
// newly promoted primary lacks a write that was acknowledged. Crashes and partitions need no step of their own: a member that
// is away simply takes none of its steps, and every interleaving is visited.
//
//   node failover-model.mjs [terms=3] [entries=2] [limit=3000000] [trace=0]     complete in about two minutes, 1,346,018 states
//   node --max-old-space-size=20000 failover-model.mjs terms=4 entries=1 limit=9000000     5,732,896 states
//
// Each of these leaves one rule out, and each finds a lost write with the shortest way to it:
//   recruit=1      promote after one promise instead of an election quorum
//   joint=0        an election under a rule that is not yet established ignores the rules before it
//   barrier=0      the store follows a smaller cohort (or a return from acks 0) before its members hold all that was acknowledged
//   syncfirst=0    the winner opens before its synchronous names are set
//   oldack=1       (terms=4 entries=1) writes of an older term count as acknowledged before the new rule is established (Raft, figure 8)

const opt = Object.fromEntries(process.argv.slice(2).map(a => a.split('=')));
const on = (name, byDefault) => (opt[name] ?? byDefault) === '1';
const ELECTION_QUORUM = !on('recruit', '0'),
  JOINT = on('joint', '1'),
  BARRIER = on('barrier', '1');
const SYNC_FIRST = on('syncfirst', '1'),
  OLD_ACK = on('oldack', '0'),
  TRACE = on('trace', '1');
const MAX_TERM = +(opt.terms ?? 3),
  MAX_WRITES = +(opt.entries ?? 2),
  LIMIT = +(opt.limit ?? 3e6);
const MEMBERS = [0, 1, 2];

// Sets of members are bit masks. A WAL is a string: a letter is a write, a digit marks the promotion that began that term.
const bit = i => 1 << i;
const size = set => {
  let n = 0;
  for (; set; set >>= 1) n += set & 1;
  return n;
};
const others = i => 0b111 & ~bit(i);
const isWrite = c => c > '9';
const lastTerm = wal => {
  for (let i = wal.length - 1; i >= 0; i--) if (!isWrite(wal[i])) return +wal[i];
  return 0;
};
const better = (a, b) => (lastTerm(a) !== lastTerm(b) ? lastTerm(a) > lastTerm(b) : a.length > b.length);
const commonPrefix = (a, b) => {
  let n = 0;
  while (n < a.length && a[n] === b[n]) n++;
  return a.slice(0, n);
};

const start = {
  promised: [1, 1, 1],
  wal: ['1', '1', '1'],
  primaryOf: [1, 0, 0],
  follows: [0, 1, 1], // terms; 0 is none
  sync: [{ cohort: 0b110, acks: 1 }, null, null], // what PostgreSQL on a primary waits for
  rule: { term: 1, primary: 0, cohort: 0b110, acks: 1, established: true, before: [] }, // in the store
  proposal: 1,
  acknowledged: '',
  writes: 0,
};
const change = (s, f) => {
  const n = {
    ...s,
    promised: [...s.promised],
    wal: [...s.wal],
    primaryOf: [...s.primaryOf],
    follows: [...s.follows],
    sync: s.sync.map(x => x && { ...x }),
    rule: { ...s.rule },
  };
  f(n);
  return n;
};
const resign = (n, i) => {
  n.primaryOf[i] = 0;
  n.sync[i] = null;
};

// Recruits of a rule suffice when its primary is among them (it holds all that it ever acknowledged) or when too few of its cohort are left to acknowledge.
const suffices = (rule, recruits) =>
  (recruits & bit(rule.primary)) !== 0 || (rule.acks > 0 && size(recruits & rule.cohort) >= size(rule.cohort) - rule.acks + 1);
const chain = (rules, recruits) => {
  for (const r of rules) {
    if (!suffices(r, recruits)) return false;
    if (recruits & bit(r.primary)) return true;
  }
  return true;
};
const mayElect = (rule, recruits) =>
  ELECTION_QUORUM
    ? rule.established || !JOINT
      ? suffices(rule, recruits)
      : chain([rule, ...[...rule.before].reverse()], recruits)
    : size(recruits) >= 1;

function* steps(s) {
  const { rule } = s,
    leader = rule.primary,
    leads = s.primaryOf[leader] === rule.term;
  for (const i of MEMBERS) {
    const term = s.primaryOf[i],
      sync = s.sync[i];
    if (term && s.writes < MAX_WRITES)
      yield [
        `write at ${i}`,
        change(s, n => {
          n.wal[i] += 'abcdef'[n.writes++];
        }),
      ];
    if (term)
      for (const w of s.wal[i])
        if (isWrite(w) && !s.acknowledged.includes(w)) {
          const ofThisTerm = s.wal[i].indexOf(w) > s.wal[i].indexOf(String(term));
          if (!OLD_ACK && !ofThisTerm && !(rule.established && rule.term === term)) continue;
          const holders = MEMBERS.filter(f => f !== i && sync.cohort & bit(f) && s.follows[f] === term && s.wal[f].includes(w));
          if (holders.length >= sync.acks)
            yield [
              `acknowledge ${w} at ${i}`,
              change(s, n => {
                n.acknowledged = [...n.acknowledged, w].sort().join('');
              }),
            ];
        }
    for (const p of MEMBERS)
      if (p !== i && !term && s.primaryOf[p] && s.follows[i] === s.primaryOf[p] && s.wal[p].startsWith(s.wal[i]) && s.wal[i] !== s.wal[p])
        yield [
          `${i} receives from ${p}`,
          change(s, n => {
            n.wal[i] = s.wal[p].slice(0, s.wal[i].length + 1);
          }),
        ];
    if (s.proposal > s.promised[i])
      yield [
        `${i} promises ${s.proposal}`,
        change(s, n => {
          n.promised[i] = s.proposal;
          n.follows[i] = 0;
          resign(n, i);
        }),
      ];
    if (rule.term >= s.promised[i] && leader !== i && leads && s.follows[i] !== rule.term)
      yield [
        `${i} follows ${leader}`,
        change(s, n => {
          n.promised[i] = n.follows[i] = rule.term;
          resign(n, i);
          n.wal[i] = commonPrefix(s.wal[i], s.wal[leader]);
        }),
      ];
    if (leader === i && rule.term >= s.promised[i] && !s.wal[i].includes(String(rule.term)))
      yield [
        `${i} is promoted`,
        change(s, n => {
          n.promised[i] = n.primaryOf[i] = rule.term;
          n.follows[i] = 0;
          n.wal[i] += rule.term;
          n.sync[i] = SYNC_FIRST ? { cohort: rule.cohort, acks: rule.acks } : { cohort: 0, acks: 0 };
        }),
      ];
    if (!SYNC_FIRST && term && rule.term === term && rule.acks && sync.cohort !== rule.cohort)
      yield [
        `${i} sets its synchronous names`,
        change(s, n => {
          n.sync[i] = { cohort: rule.cohort, acks: rule.acks };
        }),
      ];
  }
  if (s.proposal < MAX_TERM)
    yield [
      `propose term ${s.proposal + 1}`,
      change(s, n => {
        n.proposal++;
      }),
    ];
  if (s.proposal > rule.term) {
    const promised = MEMBERS.reduce((set, i) => (s.promised[i] === s.proposal ? set | bit(i) : set), 0);
    for (let recruits = promised; recruits; recruits = (recruits - 1) & promised) {
      if (!mayElect(rule, recruits)) continue;
      const winner = MEMBERS.filter(i => recruits & bit(i)).reduce((best, i) => (better(s.wal[i], s.wal[best]) ? i : best));
      for (const cohort of new Set([others(winner), recruits & ~bit(winner)]))
        yield [
          `elect ${winner}, cohort ${cohort.toString(2)}`,
          change(s, n => {
            const { primary, cohort: c, acks } = rule;
            n.rule = {
              term: s.proposal,
              primary: winner,
              cohort,
              acks: cohort ? 1 : 0,
              established: false,
              before: [...rule.before, { primary, cohort: c, acks }],
            };
          }),
        ];
    }
  }
  const holdMarker = MEMBERS.filter(f => rule.cohort & bit(f) && s.wal[f].includes(String(rule.term))).length;
  if (!rule.established && leads && holdMarker >= rule.acks)
    yield [
      'establish',
      change(s, n => {
        n.rule.established = true;
        n.rule.before = [];
      }),
    ];
  if (rule.established && leads) yield* cohortSteps(s);
}

// Grow the cohort, lower acks: the store first. Shrink the cohort, raise acks: PostgreSQL first, then a barrier, then the store.
function* cohortSteps(s) {
  const { rule } = s,
    p = rule.primary,
    sync = s.sync[p];
  const inStore = f => change(s, n => f(n.rule)),
    inPostgres = f => change(s, n => f(n.sync[p]));
  if (sync.cohort === rule.cohort && sync.acks === rule.acks) {
    for (const f of MEMBERS) {
      if (sync.cohort & bit(f) && size(sync.cohort) > 1)
        yield [
          `shrink by ${f} in PostgreSQL`,
          inPostgres(x => {
            x.cohort &= ~bit(f);
          }),
        ];
      if (f !== p && rule.acks && !(rule.cohort & bit(f)))
        yield [
          `grow by ${f} in the store`,
          inStore(r => {
            r.cohort |= bit(f);
          }),
        ];
      if (f !== p && !rule.acks)
        yield [
          `back to acks 1 with ${f} in PostgreSQL`,
          inPostgres(x => {
            x.cohort = bit(f);
            x.acks = 1;
          }),
        ];
    }
    if (rule.acks)
      yield [
        'acks 0 in the store',
        inStore(r => {
          r.cohort = r.acks = 0;
        }),
      ];
    return;
  }
  const shrinks = rule.acks === sync.acks && (sync.cohort & ~rule.cohort) === 0,
    grows = rule.acks === sync.acks && (rule.cohort & ~sync.cohort) === 0;
  if (shrinks || (!rule.acks && sync.acks)) {
    const caughtUp = MEMBERS.filter(f => sync.cohort & bit(f) && s.follows[f] === rule.term && s.wal[f] === s.wal[p]).length;
    if (!BARRIER || caughtUp >= sync.acks)
      yield [
        'the store follows PostgreSQL',
        inStore(r => {
          r.cohort = sync.cohort;
          r.acks = sync.acks;
        }),
      ];
  }
  if (grows || (!rule.acks && sync.acks))
    yield [
      'PostgreSQL follows the store',
      inPostgres(x => {
        x.cohort = rule.cohort;
        x.acks = rule.acks;
      }),
    ];
}

const violation = s => {
  const { term, primary } = s.rule;
  const lost = s.primaryOf[primary] === term && [...s.acknowledged].find(w => !s.wal[primary].includes(w));
  return lost ? `primary ${primary} of term ${term} lacks the acknowledged write ${lost}` : null;
};

const short = r => `${r.primary}${r.cohort}${r.acks}`;
const key = s =>
  [
    s.promised.join(''),
    s.wal.join(),
    s.primaryOf.join(''),
    s.follows.join(''),
    s.sync.map(x => (x ? `${x.cohort}${x.acks}` : '-')).join(''),
    s.rule.term + short(s.rule) + (s.rule.established ? 'e' : '') + s.rule.before.map(short).join(';'),
    s.proposal + s.acknowledged + s.writes,
  ].join('|');

const from = new Map([[key(start), null]]);
let frontier = [start],
  depth = 0,
  found = null;
search: while (frontier.length && from.size < LIMIT) {
  const reached = [];
  for (const s of frontier)
    for (const [step, n] of steps(s)) {
      const k = key(n);
      if (from.has(k)) continue;
      from.set(k, TRACE ? [step, key(s)] : null);
      if (violation(n)) {
        found = { what: violation(n), at: k };
        break search;
      }
      reached.push(n);
    }
  frontier = reached;
  depth++;
}
if (found) {
  const way = [];
  for (let k = found.at; from.get(k); k = from.get(k)[1]) way.push(from.get(k)[0]);
  console.log(`VIOLATION: ${found.what}\n  ${way.reverse().join('\n  ')}`);
  process.exit(1);
}
console.log(`${frontier.length ? 'limit reached' : 'complete'}: no violation in ${from.size} states, depth ${depth}`);
