//! Every route answers every wrong caller with a problem that says so, and random requests find no fault of ours.

use std::{collections::BTreeSet, process::Command};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Api, Serve, block_on, http, secret_of, until};

/// Who may use a route.
#[derive(Clone, Copy, PartialEq)]
enum May {
    /// Whoever runs the server.
    Operator,
    /// The client that the path names.
    Itself,
    /// Any client of the federation.
    Members,
    /// Who holds an invitation, too.
    Invited,
    /// Everybody.
    Anybody,
}

/// Every route: method, path as the description has it, who may.
const ROUTES: &[(&str, &str, May)] = &[
    ("get", "/v1/federations", May::Operator),
    ("post", "/v1/federations", May::Operator),
    ("get", "/v1/federations/{federation}", May::Invited),
    ("get", "/v1/federations/{federation}/report", May::Operator),
    ("get", "/v1/federations/{federation}/invitations", May::Operator),
    ("post", "/v1/federations/{federation}/invitations", May::Operator),
    ("delete", "/v1/federations/{federation}/invitations/{id}", May::Operator),
    ("get", "/v1/federations/{federation}/clients", May::Operator),
    ("get", "/v1/federations/{federation}/data", May::Operator),
    ("get", "/v1/federations/{federation}/clients/{client}", May::Itself),
    ("put", "/v1/federations/{federation}/clients/{client}", May::Invited),
    ("patch", "/v1/federations/{federation}/clients/{client}", May::Itself),
    ("delete", "/v1/federations/{federation}/clients/{client}", May::Itself),
    ("post", "/v1/federations/{federation}/clients/{client}/release", May::Operator),
    ("get", "/v1/federations/{federation}/clients/{client}/task", May::Itself),
    ("get", "/v1/federations/{federation}/tasks/{task}", May::Itself),
    ("put", "/v1/federations/{federation}/tasks/{task}/result", May::Itself),
    ("post", "/v1/federations/{federation}/tasks/{task}/decline", May::Itself),
    ("get", "/v1/federations/{federation}/jobs", May::Operator),
    ("post", "/v1/federations/{federation}/jobs", May::Operator),
    ("get", "/v1/federations/{federation}/jobs/{job}", May::Members),
    ("post", "/v1/federations/{federation}/jobs/{job}/{action}", May::Operator),
    ("get", "/v1/federations/{federation}/models", May::Operator),
    ("get", "/v1/federations/{federation}/models/{version}", May::Members),
    ("get", "/v1/federations/{federation}/models/{version}/weights", May::Members),
    ("get", "/v1/federations/{federation}/models/{version}/control", May::Members),
    ("get", "/v1/federations/{federation}/aliases", May::Operator),
    ("put", "/v1/federations/{federation}/aliases/{alias}", May::Operator),
    ("get", "/v1/federations/{federation}/events", May::Operator),
    ("get", "/v1/federations/{federation}/journal", May::Operator),
    ("get", "/v1/recipes", May::Operator),
    ("get", "/v1/recipes/{recipe}", May::Operator),
    ("post", "/v1/recipes/{recipe}/plan", May::Operator),
    ("get", "/v1/system", May::Operator),
    ("post", "/v1/session", May::Anybody),
    ("delete", "/v1/session", May::Operator),
    ("post", "/v1/demo/{agent}/kill", May::Operator),
    ("get", "/metrics", May::Operator),
    ("get", "/healthz", May::Anybody),
    ("get", "/readyz", May::Anybody),
    ("get", "/openapi.json", May::Anybody),
];

/// A route's path with things that are there.
fn filled(path: &str) -> String {
    let things = [
        ("{federation}", "fitbit"),
        ("{recipe}", "news"),
        ("{client}", "anna"),
        ("{task}", "1-measure-0-1-anna"),
        ("{id}", "1"),
        ("{job}", "1"),
        ("{action}", "pause"),
        ("{version}", "1"),
        ("{alias}", "production"),
        ("{agent}", "agent-1"),
    ];
    things.iter().fold(path.to_owned(), |path, (name, thing)| path.replace(name, thing))
}

/// Two federations with clients: anna and bora of fitbit, carl who has left it, dora who was evicted, and erik of another one.
async fn world(server: &Serve) -> Callers {
    let invitation = server.fitbit();
    let operator = &server.operator;
    operator.post("/v1/federations", json!({"name": "other"})).await.ok();
    let other = operator.post("/v1/federations/other/invitations", json!({})).await.ok();
    let invited = operator.as_bearer(invitation.split('#').nth(1).unwrap());
    let [anna, bora, carl, dora] = [
        invited.join("fitbit", "anna").await,
        invited.join("fitbit", "bora").await,
        invited.join("fitbit", "carl").await,
        invited.join("fitbit", "dora").await,
    ];
    let erik = operator.as_bearer(other["token"].as_str().unwrap()).join("other", "erik").await;
    carl.send(Method::DELETE, "/v1/federations/fitbit/clients/carl", None).await.ok();
    let reason = Some(json!({"reason": "its data were not its own"}));
    operator.send(Method::DELETE, "/v1/federations/fitbit/clients/dora", reason).await.ok();
    server.start_job(&["rounds=2"]);
    Callers { invited, anna, bora, carl, dora, erik }
}

struct Callers {
    invited: Api,
    anna: Api,
    bora: Api,
    carl: Api,
    dora: Api,
    erik: Api,
}

async fn send(caller: &Api, method: &str, path: &str) -> crate::harness::Said {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let body = (method != Method::GET).then(|| json!({}));
    caller.send(method, path, body).await
}

#[test]
fn every_route_answers_the_wrong_caller_with_a_problem() {
    block_on(async {
        let server = Serve::start();
        let Callers { invited, anna, bora, carl, dora, erik } = world(&server).await;
        let operator = &server.operator;
        let (nobody, stranger) = (operator.as_bearer(""), operator.as_bearer(&secret_of("stranger")));
        for (method, path, may) in ROUTES {
            let path = filled(path);
            let here = path.contains("fitbit");
            if *may == May::Anybody {
                continue;
            }
            send(&nobody, method, &path).await.refused(401, "unauthenticated");
            send(&stranger, method, &path).await.refused(401, "unauthenticated");
            if here {
                send(&erik, method, &path).await.refused(404, "not-found");
                if !path.ends_with("/clients/anna") || *method != "put" {
                    send(&carl, method, &path)
                        .await
                        .refused(403, if *may == May::Itself { "forbidden" } else { "not-a-member" });
                    send(&dora, method, &path)
                        .await
                        .refused(403, if *may == May::Itself { "forbidden" } else { "evicted" });
                }
            }
            if *may == May::Operator && path != "/v1/session" {
                send(&anna, method, &path).await.refused(403, "forbidden");
                send(&invited, method, &path).await.refused(403, "forbidden");
            }
            if *may == May::Members {
                send(&invited, method, &path).await.refused(403, "forbidden");
            }
            if *may == May::Itself {
                send(&bora, method, &path).await.refused(403, "forbidden");
                send(&invited, method, &path).await.refused(403, "forbidden");
            }
        }
        for path in ["clients/carl/task", "tasks/1-measure-0-1-carl"] {
            carl.get(&format!("/v1/federations/fitbit/{path}")).await.refused(403, "not-a-member");
        }
        let evicted = dora.get("/v1/federations/fitbit/clients/dora/task").await;
        evicted.refused(403, "evicted");
        assert!(evicted.body["detail"].as_str().unwrap().contains("its data were not its own"), "{evicted:?}");
        let again = json!({"secret": secret_of("dora")});
        invited.put("/v1/federations/fitbit/clients/dora", again).await.refused(403, "evicted");
        operator.get("/nowhere").await.refused(404, "not-found");
        operator.send(Method::PUT, "/healthz", None).await.refused(405, "method-not-allowed");
    });
}

#[test]
fn the_description_names_every_route() {
    block_on(async {
        let server = Serve::start();
        let api = server.operator.get("/openapi.json").await.ok();
        let paths = api["paths"].as_object().unwrap();
        let methods = |item: &Value| item.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, item)| methods(item).into_iter().map(move |method| (method, path.clone())))
            .collect();
        let held = ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        assert_eq!(described, held, "described, and held to its callers");
        insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&api).unwrap());
    });
}

#[test]
fn a_browser_has_a_session_in_place_of_the_token() {
    block_on(async {
        let server = Serve::start();
        server.fitbit();
        let begin = |token: &str| {
            reqwest::Client::builder()
                .no_proxy()
                .build()
                .unwrap()
                .post(format!("{}/v1/session", server.url))
                .json(&json!({ "token": token }))
        };
        assert_eq!(begin("wrong").send().await.unwrap().status(), 401);
        let begun = begin(&server.operator.bearer).send().await.unwrap();
        let cookie = begun.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
        let session = cookie.split(';').next().unwrap();
        let browser = http();
        let list = || browser.get(format!("{}/v1/federations", server.url)).header("cookie", session).send();
        assert_eq!(list().await.unwrap().status(), 200);
        let end = || browser.delete(format!("{}/v1/session", server.url)).header("cookie", session);
        assert_eq!(end().header("origin", &server.url).send().await.unwrap().status(), 204);
        assert_eq!(list().await.unwrap().status(), 401, "the session is over");
    });
}

/// The cookie of a new session.
async fn session(server: &Serve) -> String {
    let begin = http().post(format!("{}/v1/session", server.url)).json(&json!({ "token": server.operator.bearer }));
    let begun = begin.send().await.unwrap();
    begun.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn a_session_changes_nothing_for_other_sites_pages() {
    block_on(async {
        let server = Serve::start();
        let cookie = session(&server).await;
        let send = async |method: Method, path: &str, header: (&str, &str)| {
            let request = http().request(method, format!("{}{path}", server.url)).header("cookie", &cookie);
            let response = request.header(header.0, header.1).json(&json!({"name": "line"})).send().await.unwrap();
            response.status().as_u16()
        };
        let other_port = server.url.replace("127.0.0.1:", "127.0.0.1:1");
        for from in [("x-nothing", ""), ("origin", &other_port), ("origin", "null"), ("sec-fetch-site", "same-site")] {
            assert_eq!(send(Method::POST, "/v1/federations", from).await, 403, "{from:?}");
            assert_eq!(send(Method::DELETE, "/v1/session", from).await, 403, "{from:?}");
        }
        assert_eq!(server.operator.get("/v1/federations").await.ok(), json!([]));
        assert_eq!(send(Method::POST, "/v1/federations", ("origin", &server.url)).await, 201);
        assert_eq!(send(Method::DELETE, "/v1/session", ("sec-fetch-site", "same-origin")).await, 204);
    });
}

#[test]
fn a_new_operators_token_ends_the_sessions_of_the_old_one() {
    block_on(async {
        let mut server = Serve::start_with(&["--new-token"]);
        let cookie = session(&server).await;
        let list = || http().get(format!("{}/v1/federations", server.url)).header("cookie", &cookie).send();
        assert_eq!(list().await.unwrap().status(), 200);
        assert!(server.process.stop().await.success());
        server.restart();
        let list = http().get(format!("{}/v1/federations", server.url)).header("cookie", &cookie).send();
        assert_eq!(list.await.unwrap().status(), 401);
        server.operator.get("/v1/federations").await.refused(401, "unauthenticated");
    });
}

#[test]
fn a_secret_is_nobody_elses() {
    block_on(async {
        let server = Serve::start();
        let token = server.fitbit().split('#').nth(1).unwrap().to_owned();
        let invited = server.operator.as_bearer(&token);
        let cookie = session(&server).await;
        let anna = invited.join("fitbit", "anna").await;
        for taken in [&token, &server.operator.bearer, cookie.split('=').nth(1).unwrap(), &anna.bearer] {
            let join = invited.put("/v1/federations/fitbit/clients/bora", json!({ "secret": taken })).await;
            join.refused(409, "secret-taken");
        }
        invited.get("/v1/federations/fitbit").await.ok();
        server.operator.get("/v1/federations").await.ok();
    });
}

#[test]
fn an_invitation_that_has_expired_only_repeats_a_joining() {
    block_on(async {
        let server = Serve::start();
        server.fitbit();
        let spec = json!({"expires_in_s": 2, "uses": 1});
        let invitation = server.operator.post("/v1/federations/fitbit/invitations", spec).await.ok();
        let invited = server.operator.as_bearer(invitation["token"].as_str().unwrap());
        invited.join("fitbit", "anna").await;
        let federation = "/v1/federations/fitbit";
        let refused = until("the invitation has expired", async || {
            let said = invited.get(federation).await;
            (said.status != 200).then_some(said)
        });
        let refused = refused.await;
        refused.refused(403, "forbidden");
        assert!(refused.body["detail"].as_str().unwrap().contains("has expired"), "{refused:?}");
        invited.join("fitbit", "anna").await;
        let bora = json!({"secret": secret_of("bora")});
        invited.put("/v1/federations/fitbit/clients/bora", bora).await.refused(403, "forbidden");
    });
}

#[test]
fn a_client_does_not_see_what_the_others_do() {
    block_on(async {
        let server = Serve::start();
        let Callers { anna, .. } = world(&server).await;
        let theirs = anna.get("/v1/federations/fitbit/jobs/1").await.ok();
        let operators = server.job(1).await;
        assert!(theirs["waiting"].is_null() && theirs["round"].is_null(), "{theirs}");
        assert!(operators["waiting"].is_string(), "{operators}");
        assert_eq!(theirs["plan"], operators["plan"]);
    });
}

#[test]
fn needs_python_random_requests_find_no_fault_of_the_server() {
    block_on(async {
        let server = Serve::start();
        let Callers { anna, .. } = world(&server).await;
        let python =
            std::env::var("DURE_PYTHON").expect("set DURE_PYTHON, or leave out the tests called needs_python_…");
        let schemathesis = std::path::Path::new(&python).parent().unwrap().join("schemathesis");
        let examples = std::env::var("PROPTEST_CASES").map_or("25", |_| "500");
        for bearer in [&server.operator.bearer, &anna.bearer] {
            let mut command = Command::new(&schemathesis);
            command.args([
                "run",
                "--checks",
                "not_a_server_error",
                "--max-examples",
                examples,
                "--seed",
                "7",
                "--no-color",
            ]);
            command.args(["--exclude-path-regex", "/events$", "--request-timeout", "90"]);
            command
                .args(["-H", &format!("Authorization: Bearer {bearer}")])
                .arg(format!("{}/openapi.json", server.url));
            let output = command.current_dir(server.dir.path()).env("no_proxy", "127.0.0.1").output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(server.operator.get("/readyz").await.status, 200);
    });
}
