// Where a model version comes from: the versions before it, each trained from the next.
import type { Story, Version } from './journal/fold';

/** A version on the way, or how many are not drawn between two that are. */
export type Step =
  | { version: Version; names: readonly string[]; /** The job that chose how many rounds this one's job trains. */ chosenBy: number | undefined }
  | { between: number; newest: number };

/** The most steps that are drawn. */
const MOST = 60;

/**
 * From a version back to where its line begins. Drawn are both ends, versions that somebody has named or that were tested, and those
 * where one job ends and another begins; of the others, how many there are.
 */
export function lineage(story: Story, from: number): Step[] {
  const line = ancestors(story.versions, from);
  const names = (version: number) => [...story.aliases].filter(([, named]) => named === version).map(([name]) => name);
  const steps: Step[] = [];
  line.forEach((version, i) => {
    const [after, before] = [line[i - 1], line[i + 1]];
    const told = i < 2 || before === undefined || after?.job !== version.job || before.job !== version.job || names(version.version).length > 0 || Object.keys(version.tested).length > 0;
    const last = steps.at(-1);
    if (told && (steps.length < MOST || before === undefined)) {
      const refitOf = story.jobs.get(version.job)?.refitOf ?? undefined;
      steps.push({ version, names: names(version.version), chosenBy: before?.job === version.job ? undefined : refitOf });
    } else if (last !== undefined && 'between' in last) steps[steps.length - 1] = { ...last, between: last.between + 1 };
    else steps.push({ between: 1, newest: version.version });
  });
  return steps;
}

/** A version and those that it comes from, the newest first. */
function ancestors(versions: readonly Version[], from: number): Version[] {
  const line: Version[] = [];
  for (let version = versions[from - 1]; version !== undefined; version = version.parent === null ? undefined : versions[version.parent - 1]) {
    // A parent is older than its child; whatever says otherwise is not followed.
    if (line.length > 0 && version.version >= (line.at(-1)?.version ?? 0)) break;
    line.push(version);
  }
  return line;
}

/** How many parameters a model of a plan has. */
export function parameters(layout: unknown): number | undefined {
  if (!Array.isArray(layout)) return undefined;
  const size = (tensor: unknown) => (tensor as { shape: number[] }).shape.reduce((product, side) => product * side, 1);
  return layout.map(size).reduce((sum, one) => sum + one, 0);
}
