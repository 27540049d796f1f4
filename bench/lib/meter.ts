import { cpuMicroseconds, processTable } from './process-times.ts';

/** Whose CPU time is told apart. */
export interface Meters {
  readonly router: readonly number[];
  readonly servers: readonly number[];
}

export interface CpuUse {
  /** Microseconds of CPU. */
  readonly router: number;
  readonly servers: number;
  readonly load: number;
}

/** CPU time between two moments. */
export class CpuMeter {
  readonly #meters: Meters;
  readonly #load: readonly number[];
  readonly #from: CpuUse;

  constructor(meters: Meters, load: readonly number[]) {
    this.#meters = meters;
    this.#load = load;
    this.#from = this.#read();
  }

  used(): CpuUse {
    const now = this.#read();
    return { router: now.router - this.#from.router, servers: now.servers - this.#from.servers, load: now.load - this.#from.load };
  }

  #read(): CpuUse {
    const table = processTable();
    return {
      router: cpuMicroseconds(table, this.#meters.router),
      servers: cpuMicroseconds(table, this.#meters.servers),
      load: cpuMicroseconds(table, this.#load),
    };
  }
}
