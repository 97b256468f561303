// Made by `npm run api`; do not edit.

export interface paths {
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The process runs. */
        get: operations["healthz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Figures for Prometheus. */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This API, described. */
        get: operations["openapi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Every federation can go on. */
        get: operations["readyz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/demo/{agent}/kill": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Kills an agent of the demo, which is started again after a moment. Nothing happens to one that is dead already. */
        post: operations["kill_demo_agent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The federations of this server. */
        get: operations["list_federations"];
        put?: never;
        /** Creates a federation. The same again changes nothing. */
        post: operations["create_federation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A federation. */
        get: operations["show_federation"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/aliases": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The names of a federation. */
        get: operations["list_aliases"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/aliases/{alias}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Lets a name stand for a version. Naming the one before takes the last back. */
        put: operations["set_alias"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/clients": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The clients of a federation. */
        get: operations["list_clients"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/clients/{client}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A client. */
        get: operations["show_client"];
        /** Joins, for the first time or again. The bearer is an invitation, or the client's own secret. Repeating it changes nothing. */
        put: operations["join"];
        post?: never;
        /** Leaves, or sends a client away for good. */
        delete: operations["leave"];
        options?: never;
        head?: never;
        /** Changes what a client says of itself, and renews its lease. */
        patch: operations["change_client"];
        trace?: never;
    };
    "/v1/federations/{federation}/clients/{client}/release": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Forgets a client's secret, so that its name can be joined by another. */
        post: operations["release_client"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/clients/{client}/task": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Waits for a task: 200 with the task, or 204 if there is none yet. */
        get: operations["wait_for_task"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/data": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What all clients together tell of their data: who tells, how many rows there are, and their labels. */
        get: operations["show_data"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The journal as server-sent events, from the beginning or after `Last-Event-ID`: id is the sequence number, the event's
         *     name its type, the data a line of the journal.
         */
        get: operations["stream_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/invitations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The invitations of a federation, without their tokens: nobody has those but who was invited. */
        get: operations["list_invitations"];
        put?: never;
        /** Invites. The token is told this once. */
        post: operations["invite"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/invitations/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Takes an invitation back. Who has joined by it stays. */
        delete: operations["revoke_invitation"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The jobs of a federation. */
        get: operations["list_jobs"];
        put?: never;
        /** Creates a job. With an `Idempotency-Key`, the same again is the same job. */
        post: operations["create_job"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/jobs/{job}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A job, and where it stands. What it waits for, and the open round, are the operator's to see. */
        get: operations["show_job"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/jobs/{job}/{action}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Starts, pauses, resumes, stops or aborts a job, or steps it by hand: `train`, then `aggregate`. */
        post: operations["act_on_job"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/journal": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The journal, a line for each event. */
        get: operations["export_journal"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The model versions of a federation. */
        get: operations["list_models"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/models/{version}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A model version, by its number or by a name that stands for one. */
        get: operations["show_model"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/models/{version}/control": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What training takes beside a model version: everybody's control variate, where the job's strategy has one. It is there while the
         *     version is its job's newest.
         */
        get: operations["fetch_control"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/models/{version}/weights": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The file of a model version: safetensors, with all that predicting takes in its metadata. */
        get: operations["fetch_weights"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/report": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a federation's simulation came to: its `result.json`. A federation that is served has none. */
        get: operations["show_report"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/tasks/{task}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What has become of a task. */
        get: operations["show_task"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/tasks/{task}/decline": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Says that a task will not be answered. */
        post: operations["decline_task"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/federations/{federation}/tasks/{task}/result": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Takes a task's answer: an update's file (train), or JSON (measure, evaluate, test). The same answer again changes nothing. */
        put: operations["answer_task"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/recipes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The recipes that the server knows. */
        get: operations["list_recipes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/recipes/{recipe}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A recipe, what can be set of its plan, and what it says of that. */
        get: operations["show_recipe"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/recipes/{recipe}/plan": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The plan of a recipe with some settings, from which a job can be created. Nothing is changed by it. */
        post: operations["plan_recipe"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Begins a session. Requests that change something by its cookie need the server's own `Origin`, or `Sec-Fetch-Site: same-origin`. */
        post: operations["begin_session"];
        /** Ends the session that the request's cookie names. */
        delete: operations["end_session"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/system": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The server: what it does, what it uses of its machine, and what waits. */
        get: operations["show_system"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description Which version a name is to stand for. */
        AliasSpec: {
            /**
             * Format: int32
             * @description The version. The one before the last takes the last back.
             */
            version: number;
        };
        /** @description What a name stands for. */
        AliasView: {
            /** @description The name. */
            alias: string;
            /**
             * Format: int32
             * @description What it stood for before, and would again if it were rolled back.
             */
            previous?: number | null;
            /**
             * Format: int32
             * @description The version.
             */
            version: number;
        };
        /** @description The best evaluation of a job. */
        Best: {
            /** @description Which metric. */
            metric: string;
            /**
             * Format: int32
             * @description After which training round.
             */
            round: number;
            /**
             * Format: double
             * @description Its value.
             */
            value: number;
        };
        /** @description A class. */
        ClassView: {
            /** @description Its name. */
            class: string;
            /** @description At how many clients. */
            clients: number;
            /** @description How many clients have too few to say. */
            few: number;
            /**
             * Format: int64
             * @description The rows that it has, as far as they were counted aloud.
             */
            rows: number;
        };
        /** @description Labels that are classes, of everybody who tells. */
        ClassesView: {
            /** @description Class by class, the one with most rows first. */
            classes: components["schemas"]["ClassView"][];
            /**
             * Format: double
             * @description How uneven they are: the total variation distance of a client's classes from everybody's, the mean over clients weighted by
             *     their rows. 0 if all have the same; near 1 if none has what others have. A class with too few rows to be counted counts as none.
             */
            distance: number;
        };
        /** @description Changes what a client says of itself; what is absent stays. An empty one renews the lease. */
        ClientPatch: {
            /** @description What the site says of itself. */
            facts?: Record<string, never> | null;
            /**
             * @description Whether it takes tasks.
             * @default null
             */
            ready: boolean | null;
            /**
             * @description Why not.
             * @default
             */
            reason: string;
        };
        /**
         * @description How a client stands.
         * @enum {string}
         */
        ClientState: "joined" | "ready" | "training" | "updating" | "finished" | "lost" | "left" | "evicted";
        /** @description A client. */
        ClientView: {
            /**
             * Format: int64
             * @description The bytes of models that were sent to it since the server was started, as they travelled; of the past nobody knows.
             */
            bytes_down?: number | null;
            /** @description Its name. */
            client: string;
            /**
             * Format: int32
             * @description How often it has joined or returned.
             */
            epoch: number;
            /** @description What the site says of itself. */
            facts: Record<string, never>;
            /**
             * Format: double
             * @description How long ago it was heard of, in seconds.
             */
            last_seen_s?: number | null;
            /**
             * Format: double
             * @description When its lease ends, in seconds from now.
             */
            lease_ends_in_s?: number | null;
            /** @description Why it takes no tasks, in its own words. */
            reason: string;
            /** @description For whom the invitation was by which it joined. */
            site?: string;
            /** @description How it stands. */
            state: components["schemas"]["ClientState"];
            /** @description The task that it works on. */
            task?: string | null;
            /** @description What came of its training tasks, in all jobs. */
            tasks: components["schemas"]["TaskCounts"];
        };
        /** @description What all clients together tell of their data. Who left or was sent away is not among them. */
        DataView: {
            classes?: components["schemas"]["ClassesView"] | null;
            /** @description How many clients there are. */
            clients: number;
            number?: components["schemas"]["NumberView"] | null;
            /**
             * Format: int64
             * @description The rows of those who tell.
             */
            rows: number;
            /** @description How many clients have how many rows. */
            sizes: components["schemas"]["SizeBin"][];
            /** @description How many tell of their labels. */
            tell_labels: number;
            /** @description How many tell how many rows they have. */
            tell_rows: number;
        };
        /** @description Says that a task will not be answered. */
        Decline: {
            /** @description Why, for the operator to read. */
            reason: string;
        };
        /** @description A process of a demo, with clients in it. */
        DemoAgent: {
            /** @description Its clients. */
            clients: string[];
            /** @description What it is called. */
            name: string;
            /** @description Whether it runs; one that was killed is started again. */
            running: boolean;
        };
        /** @description A federation to be. */
        FederationSpec: {
            /** @description 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`. */
            name: string;
            /** @description The recipe that its sites look for to read their rows. */
            recipe?: string | null;
            /** @description What everybody's rows mean; jobs are held to it. */
            schema?: Record<string, never> | null;
        };
        /** @description A federation. */
        FederationView: {
            /**
             * Format: int32
             * @description The job that is started and not over.
             */
            active_job?: number | null;
            /** @description How many clients there are in each state. */
            clients: Record<string, never>;
            /**
             * Format: int32
             * @description How many jobs there are; the newest has this number.
             */
            jobs: number;
            /** @description Where its journal ends. */
            journal: Record<string, never>;
            /**
             * Format: double
             * @description For how long a client that is not heard of stays, in seconds.
             */
            lease_s: number;
            /** @description Its name. */
            name: string;
            /** @description The recipe that its sites look for. */
            recipe?: string | null;
            /** @description What everybody's rows mean. */
            schema?: Record<string, never> | null;
            /**
             * Format: int32
             * @description How many model versions there are; the newest has this number.
             */
            versions: number;
        };
        /**
         * Format: binary
         * @description Bytes, for the description of the API.
         */
        File: string;
        /** @description Why a client goes, or is sent away. */
        Goodbye: {
            /**
             * @description For the operator, or for the client, to read.
             * @default
             */
            reason: string;
        };
        /** @description An invitation to be. */
        InvitationSpec: {
            /**
             * Format: int64
             * @description For how long, in seconds; for ever if absent.
             * @default null
             */
            expires_in_s: number | null;
            /**
             * @description For whom it is.
             * @default
             */
            note: string;
            /**
             * Format: int32
             * @description How many clients may join by it; any number if absent.
             * @default null
             */
            uses: number | null;
        };
        /** @description An invitation. */
        InvitationView: {
            /** @description When it ends, as RFC 3339. */
            expires?: string | null;
            /**
             * Format: int64
             * @description Its number.
             */
            id: number;
            /** @description For whom it is. */
            note: string;
            /** @description What joins; told once, when it is made. */
            token?: string | null;
            /**
             * Format: int32
             * @description How many have.
             */
            used: number;
            /**
             * Format: int32
             * @description How many clients may join by it.
             */
            uses?: number | null;
        };
        /**
         * @description What is done to a job.
         * @enum {string}
         */
        JobAction: "start" | "pause" | "resume" | "stop" | "abort" | "train" | "aggregate";
        /** @description A job to be. */
        JobSpec: {
            /** @description What is done. `dure recipe plan` prints one. */
            plan: Record<string, never>;
            /** @description From which all randomness derives; a text, for many readers keep only 53 bits of a number. */
            seed?: string;
        };
        /**
         * @description Whether a job runs.
         * @enum {string}
         */
        JobStatus: "created" | "running" | "paused" | "completed" | "aborted" | "gave_up" | "failed";
        /** @description A job. */
        JobView: {
            best?: components["schemas"]["Best"] | null;
            /**
             * Format: int32
             * @description Training rounds that ended in a new version.
             */
            completed: number;
            /**
             * Format: int32
             * @description Its number.
             */
            job: number;
            /**
             * Format: int32
             * @description After which training round it pauses.
             */
            limit?: number | null;
            /** @description What is done. */
            plan: Record<string, never>;
            /**
             * Format: int32
             * @description The job that chose this one's number of rounds.
             */
            refit_of?: number | null;
            round?: components["schemas"]["RoundView"] | null;
            /**
             * Format: int32
             * @description Training rounds that are planned.
             */
            rounds: number;
            /** @description From which all randomness derives. */
            seed: string;
            /** @description The moments of the clients' columns, all together, once measured. */
            statistics?: Record<string, never> | null;
            /** @description Whether it runs. */
            status: components["schemas"]["JobStatus"];
            /** @description Why training ended, once it has. */
            trained?: string | null;
            /**
             * Format: int32
             * @description Its newest model version.
             */
            version?: number | null;
            /** @description What it waits for, in words; or why it is over. Only the operator is told. */
            waiting?: string | null;
        };
        /** @description Asks to be a member. The bearer is an invitation, or the client's own secret if it has been one. */
        JoinSpec: {
            /** @description What the site says of itself: size, device, version. */
            facts?: Record<string, never>;
            /** @description Whether it takes tasks. */
            ready?: boolean;
            /** @description 64 hexadecimal digits that the client has drawn itself: its bearer from now on. */
            secret: string;
        };
        /** @description What of a client's labels its site tells: the fact `labels`. */
        Labels: {
            /** @description Of classes, how many rows each has. */
            classes: {
                [key: string]: components["schemas"]["Rows"];
            };
        } | {
            /** @description Of a number, where its values lie. */
            number: components["schemas"]["NumberSummary"];
        };
        /** @description What a federation asks of its server now. */
        LoadView: {
            /** @description The federation. */
            federation: string;
            /** @description How many follow its events. */
            followers: number;
            /** @description The most that may wait; who comes later waits with its connection. */
            max_queue: number;
            /** @description Commands that wait for the writer of its journal. */
            queue: number;
        };
        /** @description Where the values of a number lie. */
        NumberSummary: {
            /**
             * Format: double
             * @description Their mean.
             */
            mean: number;
            /** @description The quantiles at 5, 25, 50, 75 and 95 %. */
            quantiles: number[];
            /**
             * Format: int64
             * @description Of how many rows.
             */
            rows: number;
        };
        /** @description Labels that are a number, of everybody who tells. */
        NumberView: {
            /** @description How many clients tell. */
            clients: number;
            /**
             * Format: double
             * @description How uneven they are: the standard deviation of clients' means around it, weighted by their rows.
             */
            deviation: number;
            /**
             * Format: double
             * @description The highest 95 % quantile of any client.
             */
            high: number;
            /**
             * Format: double
             * @description The lowest 5 % quantile of any client.
             */
            low: number;
            /**
             * Format: double
             * @description The mean of all their rows.
             */
            mean: number;
            /**
             * Format: int64
             * @description Of how many rows.
             */
            rows: number;
        };
        /** @description The body of every error: RFC 9457 <https://www.rfc-editor.org/rfc/rfc9457>, `application/problem+json`. */
        Problem: {
            /** @description This one's cause, and what to do about it. */
            detail: string;
            /** @description The setting of a recipe that is refused, if it is one. */
            setting?: string | null;
            /**
             * Format: int32
             * @description The HTTP status.
             */
            status: number;
            /** @description The kind in words. */
            title: string;
            /** @description Which kind of problem: a path below `/problems/`. */
            type: string;
        };
        /** @description A recipe with its settings: the keys of its plan. */
        RecipeDetails: {
            /** @description Which. */
            recipe: components["schemas"]["RecipeView"];
            /** @description What can be set, as a JSON Schema. */
            settings: Record<string, never>;
            /** @description What the recipe says of it. */
            values: Record<string, never>;
        };
        /**
         * @description What a model says.
         * @enum {string}
         */
        RecipeTask: "regression" | "classification";
        /** @description A recipe that the server knows. */
        RecipeView: {
            /** @description The data set's name. */
            data: string;
            /** @description Its name. */
            name: string;
            /** @description What rows mean; jobs of a federation are held to its own. */
            schema: Record<string, never>;
            /** @description What its model says. */
            task: components["schemas"]["RecipeTask"];
            /** @description One line on what it does. */
            title: string;
        };
        /** @description A round that collects answers. */
        RoundView: {
            /** @description Who has not. */
            awaited: string[];
            /** @description How many clients it asks. */
            cohort: number;
            /**
             * Format: double
             * @description When it ends, in seconds from now.
             */
            deadline_s: number;
            /** @description How many answers it wants. */
            goal: number;
            /** @description How many answers it needs. */
            quorum: number;
            /** @description Who has answered. */
            reported: string[];
            /** @description Its name. */
            round: string;
        };
        /** @description How many rows there are. */
        Rows: number | string;
        /** @description How far a job is to go. */
        Run: {
            /**
             * Format: int32
             * @description So many training rounds, and then it pauses; to its end if absent.
             * @default null
             */
            rounds: number | null;
        };
        /** @description Begins a browser's session. */
        SessionSpec: {
            /** @description The operator's token. */
            token: string;
        };
        /** @description What is set otherwise than a recipe says. */
        SettingsSpec: {
            /** @description Values by key, as a command line would set them: `{"rounds": 50, "training.epochs": 3}`. */
            settings?: Record<string, never>;
        };
        /** @description Clients of about the same size. */
        SizeBin: {
            /** @description How many there are. */
            clients: number;
            /**
             * Format: int64
             * @description With at least so many rows.
             */
            from: number;
            /**
             * Format: int64
             * @description And at most so many.
             */
            to: number;
        };
        /**
         * @description A server, as its operator sees it. What is counted is counted since the process was started; what its system does not tell is
         *     absent.
         */
        SystemView: {
            /**
             * Format: double
             * @description How long that took, together, in seconds.
             */
            append_s: number;
            /**
             * Format: int64
             * @description In how many batches.
             */
            appends: number;
            /** @description Open connections. */
            connections: number;
            /** @description Processors that it may use. */
            cores: number;
            /**
             * Format: double
             * @description How long its threads have worked, together, in seconds.
             */
            cpu_s?: number | null;
            /** @description The agents of the demo that has started this server, if one has. */
            demo?: components["schemas"]["DemoAgent"][] | null;
            /**
             * Format: int64
             * @description All bytes of that disk.
             */
            disk_bytes?: number | null;
            /**
             * Format: int64
             * @description Bytes that are free on the disk of the data directory.
             */
            disk_free_bytes?: number | null;
            /**
             * Format: int64
             * @description Events that were made durable.
             */
            events: number;
            /** @description Each federation's load. */
            federations: components["schemas"]["LoadView"][];
            /** @description The most that may be open. */
            max_connections: number;
            /**
             * Format: int64
             * @description Memory that the process uses, in bytes.
             */
            memory_bytes?: number | null;
            /**
             * Format: int64
             * @description The most memory that it ever used, in bytes.
             */
            memory_peak_bytes?: number | null;
            /** @description Whether it only shows what was: nothing can be changed. */
            read_only: boolean;
            /**
             * Format: int64
             * @description Bytes of updates that were received, as they travelled.
             */
            received_bytes: number;
            /**
             * Format: int64
             * @description Requests that were answered.
             */
            requests: number;
            /**
             * Format: int64
             * @description Bytes of models that were sent, as they travelled.
             */
            sent_bytes: number;
            /**
             * Format: double
             * @description How long the server runs, in seconds.
             */
            uptime_s: number;
            /** @description The version of the program. */
            version: string;
        };
        /** @description What came of a client's training tasks. */
        TaskCounts: {
            /**
             * Format: int32
             * @description How many of its answers were taken.
             */
            answered: number;
            /**
             * Format: int32
             * @description How many it was given.
             */
            asked: number;
            /**
             * Format: int64
             * @description The bytes of its updates, before they were packed for the network.
             */
            bytes_up: number;
            /**
             * Format: int32
             * @description How many it declined.
             */
            declined: number;
        };
        /** @description What has become of a task. */
        TaskOutcome: {
            /** @description Where the journal ends. */
            journal: Record<string, never>;
            /** @description `awaited`, `answered`, `committed` or `dropped`. */
            state: string;
            /** @description The task. */
            task: string;
        };
        /** @description What a client is asked to do. */
        TaskView: {
            /** @description The digest of that version's file; an update names it. */
            base?: string | null;
            /** @description How many clients the round asks. */
            cohort: number;
            /** @description The digest of what training takes beside that version: its file is at `…/models/{version}/control`. */
            control?: string | null;
            /**
             * Format: double
             * @description How long the round waits, in seconds from now.
             */
            deadline_s: number;
            /**
             * Format: int32
             * @description The job; its plan and seed are at `…/jobs/{job}`.
             */
            job: number;
            /** @description Where the journal ends. */
            journal: Record<string, never>;
            /** @description `measure`, `train`, `evaluate` or `test`. */
            kind: string;
            /** @description The most bytes that an answer may have, before compression. */
            max_bytes: number;
            /**
             * Format: int32
             * @description The round's ordinal, from which the client's randomness derives.
             */
            ordinal: number;
            /** @description Its name, for the answer. */
            task: string;
            /**
             * Format: int32
             * @description The model version to work on.
             */
            version?: number | null;
        };
        /** @description A model version. */
        VersionView: {
            /** @description The names that stand for it. */
            aliases: string[];
            /**
             * Format: int32
             * @description The job that made it.
             */
            job: number;
            /** @description What evaluations (`evaluate`) and tests (`test`) have said of it. */
            metrics: Record<string, never>;
            /** @description How many parameters it has. */
            parameters: number;
            /**
             * Format: int32
             * @description The version that it was trained from.
             */
            parent?: number | null;
            /** @description How columns are scaled for it, and its answers back. */
            preprocessing: Record<string, never>;
            /** @description The recipe that its job came from. */
            recipe: string;
            /**
             * Format: int32
             * @description After which training round; 0 is the initial model.
             */
            round: number;
            /** @description The digest of its file. */
            sha256: string;
            /**
             * Format: int32
             * @description Its number, across jobs.
             */
            version: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    healthz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    openapi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
        };
    };
    readyz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    kill_demo_agent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                agent: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_federations: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FederationView"][];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    create_federation: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FederationSpec"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FederationView"];
                };
            };
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FederationView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_federation: {
        parameters: {
            query?: {
                /** @description As it was after this event of its journal; as it stands, if absent. */
                at?: number;
            };
            header?: never;
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FederationView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_aliases: {
        parameters: {
            query?: {
                /** @description As it was after this event of its journal; as it stands, if absent. */
                at?: number;
            };
            header?: never;
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AliasView"][];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    set_alias: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
                alias: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AliasSpec"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AliasView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_clients: {
        parameters: {
            query?: {
                /** @description Those after this name. */
                after?: string;
                /** @description At most so many, up to 1000; 1000 if absent. */
                limit?: number;
                /** @description Those in this state. */
                state?: components["schemas"]["ClientState"];
                /** @description As they were after this event of the journal; as they are, if absent. */
                at?: number;
                /** @description Those that have this in their name, or in why they take no tasks or have declined one; capitals count for nothing. */
                search?: string;
            };
            header?: never;
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ClientView"][];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_client: {
        parameters: {
            query?: {
                /** @description As it was after this event of its journal; as it stands, if absent. */
                at?: number;
            };
            header?: never;
            path: {
                federation: string;
                client: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ClientView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    join: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
                client: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["JoinSpec"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ClientView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    leave: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
                client: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Goodbye"] | null;
            };
        };
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    change_client: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
                client: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ClientPatch"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ClientView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    release_client: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
                client: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    wait_for_task: {
        parameters: {
            query?: {
                /** @description Seconds, up to 60; the server may answer sooner. */
                wait?: number;
            };
            header?: never;
            path: {
                federation: string;
                client: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskView"];
                };
            };
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_data: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DataView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    stream_events: {
        parameters: {
            query?: never;
            header?: {
                "Last-Event-ID"?: string | null;
            };
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_invitations: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InvitationView"][];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    invite: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["InvitationSpec"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InvitationView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    revoke_invitation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_jobs: {
        parameters: {
            query?: {
                /** @description As it was after this event of its journal; as it stands, if absent. */
                at?: number;
            };
            header?: never;
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"][];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    create_job: {
        parameters: {
            query?: never;
            header?: {
                "Idempotency-Key"?: string | null;
            };
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["JobSpec"];
            };
        };
        responses: {
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_job: {
        parameters: {
            query?: {
                /** @description As it was after this event of its journal; as it stands, if absent. */
                at?: number;
            };
            header?: never;
            path: {
                federation: string;
                job: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    act_on_job: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
                job: number;
                action: components["schemas"]["JobAction"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Run"] | null;
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    export_journal: {
        parameters: {
            query?: {
                /** @description Those after this sequence number. */
                after?: number;
                /** @description Up to this one; to the end, if absent. */
                to?: number;
            };
            header?: never;
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": string;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_models: {
        parameters: {
            query?: {
                /** @description Those before this number. */
                before?: number;
                /** @description Of those, the newest so many; all if absent. */
                limit?: number;
                /** @description As they were after this event of the journal; as they are, if absent. */
                at?: number;
            };
            header?: never;
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VersionView"][];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_model: {
        parameters: {
            query?: {
                /** @description As it was after this event of its journal; as it stands, if absent. */
                at?: number;
            };
            header?: never;
            path: {
                federation: string;
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VersionView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    fetch_control: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": components["schemas"]["File"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    fetch_weights: {
        parameters: {
            query?: never;
            header?: {
                Range?: string | null;
                "If-None-Match"?: string | null;
                "Accept-Encoding"?: string | null;
            };
            path: {
                federation: string;
                version: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": components["schemas"]["File"];
                };
            };
            206: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": components["schemas"]["File"];
                };
            };
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_report: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_task: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
                task: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskOutcome"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    decline_task: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                federation: string;
                task: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Decline"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskOutcome"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    answer_task: {
        parameters: {
            query?: {
                /** @description The SHA-256 of the file, before compression. */
                sha256?: string;
            };
            header?: never;
            path: {
                federation: string;
                task: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": Record<string, never>;
                "application/octet-stream": components["schemas"]["File"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskOutcome"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    list_recipes: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecipeView"][];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_recipe: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                recipe: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecipeDetails"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    plan_recipe: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                recipe: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SettingsSpec"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    begin_session: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SessionSpec"];
            };
        };
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    end_session: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    show_system: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SystemView"];
                };
            };
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
