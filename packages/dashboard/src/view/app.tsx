import type { JSX } from 'preact';
import { status } from '../state/store.ts';
import { LagChart, TrafficChart } from './charts.tsx';
import { Dialogs } from './dialogs.tsx';
import { Elections } from './elections.tsx';
import { Events } from './events.tsx';
import { Header } from './header.tsx';
import { Statements } from './statements.tsx';
import { Topology } from './topology.tsx';
import { Tour } from './tour.tsx';
import { Verdict } from './verdict.tsx';

/** So many members have room for their picture beside what happened. */
const BESIDE_MAX = 5;

export function App(): JSX.Element {
  return (
    <>
      <Header />
      <div class="wide">
        <Tour />
      </div>
      <main class={(status.value?.members.length ?? 0) > BESIDE_MAX ? 'many' : undefined}>
        <Verdict />
        <Topology />
        <Elections />
        <LagChart />
        <TrafficChart />
        <Events />
      </main>
      <div class="wide">
        <Statements />
      </div>
      <Dialogs />
    </>
  );
}
