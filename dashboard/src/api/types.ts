// The API's nouns, by the types that are made of its description. Where that says no more than "an object", this says which.
import type { components } from './schema';

type Schemas = components['schemas'];

export type ClientState = Schemas['ClientState'];
export type JobAction = Schemas['JobAction'];
export type JobStatus = Schemas['JobStatus'];
export type Problem = Schemas['Problem'];
export type InvitationView = Schemas['InvitationView'];
export type AliasView = Schemas['AliasView'];
export type RoundView = Schemas['RoundView'];
export type SystemView = Schemas['SystemView'];
export type DemoAgent = Schemas['DemoAgent'];
export type DataView = Schemas['DataView'];
export type ClassesView = Schemas['ClassesView'];
export type NumberView = Schemas['NumberView'];
export type Labels = Schemas['Labels'];

export type RecipeView = Omit<Schemas['RecipeView'], 'schema'> & { schema: Record<string, unknown> };

export interface RecipeDetails {
  recipe: RecipeView;
  settings: Schema;
  values: Record<string, unknown>;
}

/** What of a JSON Schema a recipe's settings are described by. */
export interface Schema {
  description?: string;
  type?: string | string[];
  const?: string;
  default?: unknown;
  properties?: Record<string, Schema>;
  oneOf?: Schema[];
  items?: Schema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
}

/** Figures by name: `mae`, `accuracy` … */
export type Metrics = Record<string, number>;

export interface Head {
  /** A text, for it has 64 bits. */
  sequence: string;
  hash: string;
}

export type FederationView = Omit<Schemas['FederationView'], 'clients' | 'journal'> & {
  clients: Partial<Record<ClientState, number>>;
  journal: Head;
};

export type ClientView = Omit<Schemas['ClientView'], 'facts'> & { facts: Record<string, unknown> };

/** What of a plan the screens look at. */
export interface Plan {
  name: string;
  rounds: number;
  strategy: { name: string } & Record<string, unknown>;
  cohort: { size?: number | null; quorum?: number | null; deadline_s: number } & Record<string, unknown>;
  codec: unknown;
  classes?: number | null;
  evaluate_every: number;
  refit: boolean;
  test: boolean;
  work: Record<string, unknown>;
}

export type JobView = Omit<Schemas['JobView'], 'plan' | 'statistics'> & { plan: Plan };

export type VersionView = Omit<Schemas['VersionView'], 'metrics' | 'preprocessing'> & { metrics: Record<string, Metrics> };
