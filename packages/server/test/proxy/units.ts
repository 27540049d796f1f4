import { SqlClassifier } from '@understudy/core/sql';
import { addText, type ClientUnit, newUnit } from '../../src/proxy/client-unit.ts';
import { sqlParser } from '../../src/proxy/sql-parser.ts';

export const classifier: SqlClassifier = new SqlClassifier({ parser: await sqlParser() });

/** A unit that runs these texts, as a client would send it. */
export function unitOf(...texts: readonly string[]): ClientUnit {
  const unit = newUnit(texts.length === 1 ? 'query' : 'extended', 0);
  for (const text of texts) addText(unit, classifier.classifyText(text), true);
  unit.complete = true;
  return unit;
}
