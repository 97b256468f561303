use dure_core::name::ClientName;
use dure_learn::{
    data::{
        ClientRows, DataSet, Examples, Source,
        examples::{Inputs, Truth},
    },
    recipe::Recipe,
};
use dure_sim::{clients::Clients, simulate_into};
use std::sync::Arc;
const RECIPE: &str = r#"
name = "virtual"
title = "virtual"
data = "virtual"
schema = { features = [{ name = "a", categories = ["0","1","2","3","4"] }, { name = "b", categories = ["0","1","2","3","4"] }], target = { name = "y", classes = ["0", "1"] } }
site = { file = "rows.csv", client = "who", prefix = "client" }
[plan]
rounds = 5
split = { test = 0, validation = 0 }
evaluate = { every = 0 }
model = { name = "mlp", hidden = [64, 64, 32] }
training = { batch_size = 32, loss = { name = "cross_entropy" }, optimizer = { name = "adam", learning_rate = 0.001 } }
"#;
fn rss(k: &str) -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find_map(|l| l.strip_prefix(k))
        .unwrap()
        .trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
fn main() {
    let a: Vec<usize> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let (n, cohort, rounds) = (a[0], a[1], a[2]);
    let recipe =
        Recipe::parse("virtual", RECIPE, &[format!("cohort.size={cohort}"), format!("rounds={rounds}")]).unwrap();
    let pool: Vec<Arc<Examples>> = (0..1000)
        .map(|p| {
            Arc::new(Examples {
                id: String::new(),
                line: 0,
                dates: vec![],
                inputs: Inputs::Table(10, (0..320).map(|i| f64::from(u8::from((i * 7 + p) % 5 == 0))).collect()),
                truth: Truth::Classes((0..32).map(|i| ((i + p) % 2) as u16).collect()),
                held_out: 0,
            })
        })
        .collect();
    let clients: Vec<ClientRows> = (0..n)
        .map(|i| ClientRows {
            name: ClientName::new(format!("client-{i:06}")).unwrap(),
            examples: pool[i % 1000].clone(),
        })
        .collect();
    println!("data: {} kB rss {}", n * std::mem::size_of::<ClientRows>() / 1024, rss("VmRSS"));
    let data = DataSet { source: Source::Generated, clients, dropped: 0, remarks: vec![] };
    let mut c = Clients::new(data, recipe.work(), 0, 1).unwrap();
    let mut lines = 0;
    let run = simulate_into(
        recipe.plan("x").unwrap(),
        0,
        &mut c,
        &mut |p| {
            if std::env::var("V").is_ok() {
                println!("round {} rss {}", p.round, rss("VmRSS"))
            }
        },
        &mut |l| lines += l.len(),
    )
    .unwrap();
    println!(
        "member {} journal {lines} rss {} rounds {:?}",
        std::mem::size_of::<dure_core::federation::Member>(),
        rss("VmRSS"),
        run.rounds.iter().map(|r| (r.wall_s * 1e3) as u32).collect::<Vec<_>>()
    );
    println!("{}", rss("VmHWM"));
}
