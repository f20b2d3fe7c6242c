/** What a check of the server's health is, and what it finds. */
import type { FactName, Facts } from './facts.ts';

/** How bad a fault is, in the words of ipa-healthcheck. */
export const SEVERITIES = ['CRITICAL', 'ERROR', 'WARNING'] as const;

/** One of {@link SEVERITIES}: `CRITICAL` stops the server, `ERROR` a part of its work, `WARNING` will. */
export type Severity = (typeof SEVERITIES)[number];

/** What a check is about. */
export type Area =
  | 'server'
  | 'host'
  | 'service'
  | 'ca'
  | 'kra'
  | 'directory'
  | 'replication'
  | 'role'
  | 'certificate'
  | 'tracking'
  | 'hsm'
  | 'file';

/** Something that is not as it should be. */
export interface Fault {
  /** What it is about, where the check looks at several things: a nickname, a unit, a path. */
  key?: string;
  /** A sentence: what is wrong, and where. */
  message: string;
  /** What to do about it, where that is not what the check says. */
  remedy?: string | undefined;
}

/** What is known of every check, without looking. */
export interface CheckFacts {
  /** A stable name in kebab case. */
  code: string;
  area: Area;
  severity: Severity;
  /** What holds when all is well, as a sentence. */
  holds: string;
  /** What to do when it does not hold, as an instruction to a person. */
  remedy: string;
}

/** A check that judges facts that were gathered. */
export interface Judgement extends CheckFacts {
  /** What it needs to know; it is passed over where one of them is not known. */
  needs: readonly FactName[];
  /** What is wrong; empty where nothing is. */
  look(facts: Facts): Fault[];
}

/** A check that finds a fault when a fact cannot be gathered: the thing does not answer, or is not there. */
export interface Gate extends CheckFacts {
  gate: FactName;
}

/** A check of the server's health. */
export type HealthCheck = Judgement | Gate;

/** A check that judges facts, and gets those that it names. */
export function judgement<Name extends FactName>(
  check: CheckFacts & { needs: readonly Name[]; look(facts: Pick<Facts, Name>): Fault[] },
): Judgement {
  return check;
}

/** Whether a check is about a fact that could not be gathered. */
export function isGate(check: HealthCheck): check is Gate {
  return 'gate' in check;
}
