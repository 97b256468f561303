//! Bad rows are named by file, line and column; good ones become clients.

use std::{io::Write as _, path::Path};

use dure_core::name::ClientName;
use dure_learn::{
    client::{Rows, measure_everybody},
    data::{
        ClientRows, DataSet, Source,
        examples::{Inputs, Truth},
        load, made_up,
        people::{Generator, generate},
        table::{Target, check_rows, group, parse},
    },
    recipe::Recipe,
    standardise::Preprocessing,
};

fn recipe() -> Recipe {
    let text = include_str!("../../../recipes/fitbit.toml").split("[schema]").next().unwrap().to_owned();
    let rest = "[schema]\nfeatures = [{ name = \"Steps\", unit = \"steps\" }, { name = \"Km\", unit = \"km\" }]\n\
        target = { name = \"Calories\", unit = \"kcal\" }\n[plan]";
    let plan = include_str!("../../../recipes/fitbit.toml").split("[plan]").nth(1).unwrap();
    Recipe::parse(
        "test",
        &format!("{text}{rest}{plan}").replace("\"TotalSteps\", \"Calories\"", "\"Steps\", \"Calories\""),
        &[],
    )
    .unwrap()
}

const GOOD: &str = "Id,ActivityDate,Steps,Km,Calories\n7,4/12/2016,100,1.5,2000\n7,4/13/2016,0,0,0\n3,4/12/2016,5,2,1800\n7,4/11/2016,90,1,1900\n";

fn read(csv: &str) -> Result<DataSet, String> {
    let recipe = recipe();
    let file = Path::new("days.csv");
    let rows = parse(file, csv.as_bytes(), &recipe.schema, &recipe.site, Target::Needed).map_err(|e| e.to_string())?;
    group(file, rows, &recipe.schema, &recipe.site, Source::File(file.into())).map_err(|e| e.to_string())
}

#[test]
fn rows_become_clients_in_the_order_of_their_ids_and_days() {
    let data = read(GOOD).unwrap();
    assert_eq!((data.clients.len(), data.rows(), data.dropped), (2, 3, 1));
    let second = &data.clients[1];
    assert_eq!((second.name.clone(), second.id.as_str()), (ClientName::new("person-02").unwrap(), "7"));
    assert_eq!(second.inputs, Inputs::Table(2, vec![90.0, 1.0, 100.0, 1.5]));
    assert_eq!(second.truth, Truth::Numbers(vec![1900.0, 2000.0]));
    assert_eq!(second.dates[0].to_string(), "2016-04-11");
}

#[test]
fn columns_are_found_by_name_wherever_they_stand() {
    let moved = "Calories,Km,more,Steps,ActivityDate,Id\n2000,1.5,x,100,2016-04-12,7\n";
    assert_eq!(read(moved).unwrap().clients[0].inputs, Inputs::Table(2, vec![100.0, 1.5]));
    let bom = format!("\u{feff}{GOOD}");
    assert_eq!(read(&bom).unwrap(), read(GOOD).unwrap());
}

#[test]
fn bad_input_is_named_by_file_line_and_column() {
    let check = |csv: &str, want: &str| {
        let error = read(csv).unwrap_err();
        assert!(error.starts_with(want), "{error}\ninstead of\n{want}");
    };
    let with = |from: &str, to: &str| GOOD.replacen(from, to, 1);
    check("", "days.csv: has no rows");
    check("Id,ActivityDate,Steps,Km,Calories\n", "days.csv: has no rows");
    check(&GOOD.replace(',', ";"), "days.csv:1: the columns are not separated by commas");
    check(
        &with("Km", "km"),
        "days.csv:1: has no column \"Km\"; if \"km\" is meant, say so in the recipe's [site.columns]: Km = \"km\"",
    );
    check(&with("Km", "Steps"), "days.csv:1: has two columns \"Steps\"; rename one");
    check(&with("1.5", "one"), "days.csv:2: column \"Km\" holds \"one\", which is not a number between -1e30 and 1e30");
    check(
        &with("1800", "NaN"),
        "days.csv:4: column \"Calories\" holds \"NaN\", which is not a number between -1e30 and 1e30",
    );
    check(&with("1800", "1e999"), "days.csv:4: column \"Calories\" holds \"1e999\"");
    check(
        &with("1800", ""),
        "days.csv:4: column \"Calories\" holds \"\", which is not a number between -1e30 and 1e30",
    );
    check(
        &with("4/11/2016", "11.4.2016"),
        "days.csv:5: column \"ActivityDate\" holds \"11.4.2016\", which is not a day",
    );
    check(&with("3,", ","), "days.csv:4: column \"Id\" holds \"\"");
    check(&with("4/11/2016", "04/12/2016"), "days.csv:5: \"Id\" = \"7\" has 2016-04-12 already in line 2; remove one");
    check(&with(",1800", ""), "days.csv:4: the row has 4 columns where the first line names 5");
    for (lf, line) in
        [(with("1.5", "one"), 2), (with("1800", "NaN"), 4), (with(",1800", ""), 4), (with("4/11/2016", "4/12/2016"), 5)]
    {
        let (crlf, blank) = (lf.replace('\n', "\r\n"), lf.replacen("\n", "\n\n", 1));
        check(&crlf, &format!("days.csv:{line}: "));
        check(&lf.replace('\n', "\r"), &format!("days.csv:{line}: "));
        check(&blank, &format!("days.csv:{}: ", line + 1));
    }
    let not_text = [GOOD.as_bytes(), b"7,4/14/2016,\xff,1,1\n"].concat();
    let recipe = recipe();
    let error = parse(Path::new("days.csv"), &not_text, &recipe.schema, &recipe.site, Target::Needed).unwrap_err();
    assert_eq!(error.to_string(), "days.csv:6: the row is not UTF-8 text; save the file as UTF-8");
}

#[test]
fn a_message_repeats_only_the_beginning_of_what_is_long() {
    let long = "7".repeat(3000);
    let of_one_person = GOOD.replace("\n7,4/13", "\n7,4/12").replace("\n7,", &format!("\n{long},"));
    let odd = GOOD.replacen("1800", "1\u{1b}[2J8", 1);
    for (csv, want) in
        [(of_one_person, "days.csv:3: \"Id\" = \"777"), (odd, "days.csv:4: column \"Calories\" holds \"1�[2J8\"")]
    {
        let error = read(&csv).unwrap_err();
        assert!(error.starts_with(want) && error.chars().count() < 200, "{error}");
    }
    let error = read(&GOOD.replacen("Km", &format!("Km{}", "m".repeat(200)), 1)).unwrap_err();
    assert_eq!(error, "days.csv:1: has no column \"Km\"");
}

#[test]
fn a_person_of_one_day_cannot_be_divided() {
    let error = check_rows(&read(GOOD).unwrap(), &recipe().plan.split).unwrap_err().to_string();
    assert!(error.starts_with("days.csv:4: \"3\" has 1 usable row, and 3 are needed"), "{error}");
}

#[test]
fn a_missing_file_says_how_to_name_it() {
    let recipe = recipe();
    let error = load(Path::new("/nowhere"), &recipe.schema, &recipe.site).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/dailyActivity_merged.csv: cannot be read: No such file"), "{error}");
}

#[test]
fn made_up_people_are_read_by_the_same_loader() {
    let recipe = Recipe::parse("fitbit", include_str!("../../../recipes/fitbit.toml"), &[]).unwrap();
    let csv = generate(Generator { people: 5, days: 31 }, 3);
    let rows = parse(Path::new("generated"), csv.as_bytes(), &recipe.schema, &recipe.site, Target::Needed).unwrap();
    let data = group(Path::new("generated"), rows, &recipe.schema, &recipe.site, Source::Generated).unwrap();
    assert_eq!((data.clients.len(), data.rows() + data.dropped), (5, 155));
}

const STAYS: &str = "patient,ward,sex,age,Ca,back\n\
    a,North,F,60,2.1,no\na,North,F,,2.4,yes\nb,South,,71,NA,no\nc,North,M,55,2.0,yes\nd,South,M,80,1.9,no\n";

/// A recipe of one's own, as the guide has it: categories, gaps, no day, and nobody who owns a row.
fn own(overrides: &[&str]) -> Recipe {
    let text = r#"
name = "stays"
data = "stays"
[schema]
features = [
    { name = "sex", categories = ["F", "M"] }, { name = "age", unit = "years" }, { name = "calcium", unit = "mmol/L" },
]
missing = "mean"
target = { name = "back", classes = ["no", "yes"] }
[plan]
rounds = 2
split = { test = 0.0, validation = 0.0 }
model = { name = "mlp", hidden = [4] }
training = { epochs = 1, batch_size = 4, loss = { name = "cross_entropy" }, optimizer = { name = "sgd", learning_rate = 0.1 } }
[site]
file = "stays.csv"
prefix = "ward"
partition = { name = "grouped", column = "ward" }
missing = ["NA", "?"]
columns = { calcium = "Ca" }
"#;
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Recipe::parse("own.toml", text, &overrides).unwrap()
}

fn read_own(csv: &str, overrides: &[&str]) -> Result<DataSet, String> {
    let (recipe, file) = (own(overrides), Path::new("stays.csv"));
    recipe.plan("own.toml").map_err(|e| e.to_string())?;
    let table = parse(file, csv.as_bytes(), &recipe.schema, &recipe.site, Target::Needed).map_err(|e| e.to_string())?;
    group(file, table, &recipe.schema, &recipe.site, Source::File(file.into())).map_err(|e| e.to_string())
}

/// What goes in of a client, where NaN is `None`.
#[test]
fn a_population_shares_the_examples_of_those_who_are_there() {
    let overrides = ["generator.activity.people=5".to_owned()];
    let recipe = Recipe::parse("fitbit", include_str!("../../../recipes/fitbit.toml"), &overrides).unwrap();
    let there = made_up(recipe.generator.unwrap(), &recipe.schema, &recipe.site, 3).unwrap().1;
    let of = |count| there.clone().populated("person", count).unwrap();
    let many = of(1012);
    assert_eq!((many.clients.len(), many.clients[1011].name.as_str()), (1012, "person-1012"));
    assert!(many.clients.is_sorted_by(|a, b| a.name < b.name));
    for (i, client) in many.clients.iter().enumerate() {
        assert_eq!(client.examples, there.clients[i % 5].examples, "{i}");
        assert_eq!(client.divided_as, there.clients[i % 5].name, "nobody trains on what another is tested on");
        assert!(std::sync::Arc::ptr_eq(&client.examples, &many.clients[i % 5].examples));
    }
    assert_eq!(of(3).clients, there.clients[..3]);
}

fn inputs(client: &ClientRows) -> Vec<Option<f64>> {
    let Inputs::Table(_, values) = &client.inputs else { panic!("no table") };
    values.iter().map(|value| Some(*value).filter(|value| !value.is_nan())).collect()
}

#[test]
fn categories_become_ones_and_zeros_and_a_gap_is_told_from_a_number() {
    let data = read_own(STAYS, &[]).unwrap();
    let [north, south] = &data.clients[..] else { panic!("{data:?}") };
    assert_eq!((north.id.as_str(), north.len(), south.id.as_str(), south.len()), ("North", 3, "South", 2));
    let known = |values: [f64; 4]| values.map(Some);
    let gap = [Some(1.0), Some(0.0), None, Some(2.4)];
    assert_eq!(inputs(north), [known([1.0, 0.0, 60.0, 2.1]), gap, known([0.0, 1.0, 55.0, 2.0])].concat());
    assert_eq!(inputs(south)[..4], [Some(0.0), Some(0.0), Some(71.0), None]);
    assert_eq!((data.dropped, north.truth.classes().unwrap()), (0, &[0, 1, 1][..]));
    assert!(north.dates.is_empty());
}

#[test]
fn what_is_missing_is_not_measured_and_is_the_mean_when_scaled() {
    let (recipe, data) = (own(&[]), read_own(STAYS, &[]).unwrap());
    let statistics = measure_everybody(&data, &recipe.schema);
    assert_eq!(statistics.keys().collect::<Vec<_>>(), ["age", "calcium"]);
    assert_eq!((statistics["age"].n, statistics["age"].mean), (4, (60.0 + 71.0 + 55.0 + 80.0) / 4.0));
    let preprocessing = Preprocessing::of(&statistics);
    assert!(preprocessing.fits(&recipe.schema));
    let south = &data.clients[1];
    let rows = Rows::new(&south.inputs, &south.truth, &recipe.schema, &preprocessing);
    let scaled = |column: &str, value| preprocessing.of_column(column).apply(value);
    assert_eq!(rows.x(), [0.0, 0.0, scaled("age", 71.0), 0.0, 0.0, 1.0, scaled("age", 80.0), scaled("calcium", 1.9)]);
}

#[test]
fn a_row_with_a_gap_is_dropped_and_counted_or_refused_with_a_next_step() {
    let data = read_own(STAYS, &["schema.missing=drop"]).unwrap();
    assert_eq!((data.rows(), data.dropped), (3, 2));
    assert_eq!(data.remarks, ["2 rows left out: a value is missing"]);
    let no_target = STAYS.replace("2.1,no", "2.1,?");
    assert_eq!(read_own(&no_target, &["schema.missing=drop"]).unwrap().dropped, 3);
    let check = |csv: &str, overrides: &[&str], want: &str| {
        let error = read_own(csv, overrides).unwrap_err();
        assert!(error.starts_with(want), "{error}\ninstead of\n{want}");
    };
    check(
        STAYS,
        &["schema.missing=refuse"],
        "stays.csv:3: column \"age\" holds \"\", which is not a number between -1e30 and 1e30; for a missing value, \
         schema.missing = \"mean\" or \"drop\" allows it",
    );
    check(
        &no_target,
        &[],
        "stays.csv:2: column \"back\" holds \"?\", which is not one of schema.target.classes: no, yes; for a missing value, \
         schema.missing = \"drop\" leaves such rows out",
    );
    check(
        &STAYS.replace("NA", "n/a"),
        &[],
        "stays.csv:4: column \"Ca\" holds \"n/a\", which is not a number between -1e30 and 1e30; if it stands for a missing \
         value, say so: site.missing = [\"n/a\"]",
    );
    let listed = "site.missing=[\"NA\",\"?\",\"-999\"]";
    check(
        &STAYS.replace("NA", "-999").replace(",F,,", ",F,60,"),
        &[listed, "schema.missing=refuse"],
        "stays.csv:4: column \"sex\" holds \"\"",
    );
    check(
        &STAYS.replace("2.1", "-999").replace(",F,,", ",F,60,"),
        &[listed, "schema.missing=refuse"],
        "stays.csv:2: column \"Ca\" holds \"-999\", which is not a number between -1e30 and 1e30; for a missing value, schema.",
    );
    check(&STAYS.replace("2.0", "NaN"), &[], "stays.csv:5: column \"Ca\" holds \"NaN\", which is not a number");
    check(&STAYS.replace("2.0", "inf"), &["schema.missing=drop"], "stays.csv:5: column \"Ca\" holds \"inf\"");
    check(
        &STAYS.replace(",M,55", ",m,55"),
        &[],
        "stays.csv:5: column \"sex\" holds \"m\", which is not one of its categories: F, M",
    );
    check(
        &STAYS.replace("no\n", "No\n"),
        &[],
        "stays.csv:2: column \"back\" holds \"No\", which is not one of schema.target",
    );
    check(
        &STAYS.replace("c,North", "c,NA"),
        &[],
        "stays.csv:5: column \"ward\" holds \"NA\", which is not a value to group by",
    );
    let gaps = "patient,ward,sex,age,Ca,back\na,North,F,,1,no\n";
    check(gaps, &["schema.missing=drop"], "stays.csv:2: all 1 rows were dropped: a value is missing in each");
}

#[test]
fn rows_without_a_day_keep_the_order_of_the_file_and_none_is_twice() {
    let natural = ["site.client=patient", "site.partition={name=\"natural\"}", "schema.missing=mean"];
    let twice = STAYS.replace("a,North,F,,2.4,yes", "a,North,F,60,2.1,no");
    let data = read_own(&twice, &natural).unwrap();
    assert_eq!(data.clients.iter().map(|client| client.len()).collect::<Vec<_>>(), [2, 1, 1, 1]);
    assert_eq!(data.clients[0].id, "a");
    let turned = STAYS.lines().take(1).chain(STAYS.lines().skip(1).collect::<Vec<_>>().into_iter().rev());
    let turned = turned.collect::<Vec<_>>().join("\n");
    let north = &read_own(&turned, &[]).unwrap().clients[0];
    assert_eq!(inputs(north)[..4], [0.0, 1.0, 55.0, 2.0].map(Some), "the last row is the first");
}

#[test]
fn a_table_of_classes_is_divided_by_every_partition() {
    let rows: String = (0..60).map(|i| format!("p{},W{},F,{i},2,{}\n", i % 7, i % 3, ["no", "yes"][i % 2])).collect();
    let csv = format!("{}\n{rows}", STAYS.lines().next().unwrap());
    for (partition, clients) in [
        ("{name=\"iid\",clients=4}", 4),
        ("{name=\"dirichlet_labels\",clients=3,alpha=1.0}", 3),
        ("{name=\"dirichlet_sizes\",clients=3,alpha=1.0}", 3),
        ("{name=\"shards\",clients=5,shards_per_client=2}", 5),
        ("{name=\"labels_per_client\",clients=4,labels=1}", 4),
        ("{name=\"log_normal_sizes\",clients=2,labels=2,sigma=1.0}", 2),
        ("{name=\"grouped\",column=\"ward\"}", 3),
    ] {
        let data = read_own(&csv, &[&format!("site.partition={partition}")]).unwrap();
        assert_eq!((data.clients.len(), data.rows()), (clients, 60), "{partition}");
        assert!(data.clients.iter().all(|client| client.line >= 2 && !client.is_empty()), "{partition}");
    }
    let grouped = ["site.client=patient", "site.partition={name=\"grouped\",groups=3}"];
    assert_eq!(read_own(&csv, &grouped).unwrap().clients.len(), 3);
}

#[test]
fn a_column_that_is_not_there_is_named_with_its_key() {
    let error = read_own(STAYS, &["site.partition={name=\"grouped\",column=\"Ward\"}"]).unwrap_err();
    assert_eq!(
        error,
        "stays.csv:1: has no column \"Ward\"; if \"ward\" is meant, say so in the recipe: site.partition.column = \"ward\""
    );
}

#[test]
fn a_packed_table_is_read_as_an_unpacked_one_by_either_name() {
    let (recipe, folder) = (own(&[]), tempfile::tempdir().unwrap());
    let load = || load(folder.path(), &recipe.schema, &recipe.site).map_err(|error| error.to_string());
    std::fs::write(folder.path().join("stays.csv"), STAYS).unwrap();
    let plain = load().unwrap();
    std::fs::remove_file(folder.path().join("stays.csv")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(STAYS.as_bytes()).unwrap();
    std::fs::write(folder.path().join("stays.csv.gz"), packed.finish().unwrap()).unwrap();
    let packed = load().unwrap();
    assert_eq!(packed.source, Source::File(folder.path().join("stays.csv.gz")));
    assert_eq!(inputs(&packed.clients[0]), inputs(&plain.clients[0]));
    std::fs::remove_file(folder.path().join("stays.csv.gz")).unwrap();
    assert!(load().unwrap_err().contains("stays.csv: cannot be read: No such file"));
}

/// The real export, where `DURE_DATA` names the folder of data sets.
#[test]
fn needs_data_the_fitbit_export_has_33_people_and_936_worn_days() {
    let folder = std::env::var_os("DURE_DATA").expect("set DURE_DATA to the folder that holds the data sets");
    let recipe = Recipe::parse("fitbit", include_str!("../../../recipes/fitbit.toml"), &[]).unwrap();
    let data = load(&Path::new(&folder).join("fitbit"), &recipe.schema, &recipe.site).unwrap();
    assert_eq!((data.clients.len(), data.rows(), data.dropped), (33, 936, 4));
    check_rows(&data, &recipe.plan.split).unwrap();
    assert_eq!(
        (data.clients[0].id.as_str(), data.clients[0].dates[0].to_string().as_str()),
        ("1503960366", "2016-04-12")
    );
}
