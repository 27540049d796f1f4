import type { JSX } from 'preact';
import { LagChart, TrafficChart } from './charts.tsx';
import { Dialogs } from './dialogs.tsx';
import { Elections } from './elections.tsx';
import { Events } from './events.tsx';
import { Header } from './header.tsx';
import { Topology } from './topology.tsx';
import { Verdict } from './verdict.tsx';

export function App(): JSX.Element {
  return (
    <>
      <Header />
      <main>
        <Verdict />
        <Topology />
        <Elections />
        <LagChart />
        <TrafficChart />
        <Events />
      </main>
      <Dialogs />
    </>
  );
}
