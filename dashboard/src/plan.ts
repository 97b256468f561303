// A plan as it was pasted.

export interface Spec {
  plan: unknown;
  seed: string;
}

/** A job to be: from a plan (`dure recipe plan`), or from `{plan, seed}` as the API takes it. Nothing, if it is no JSON object. */
export function readSpec(text: string, seed: string): Spec | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  if (!('plan' in value)) return { plan: value, seed: seed.trim() };
  return { plan: value.plan, seed: 'seed' in value && typeof value.seed === 'string' ? value.seed : seed.trim() };
}
