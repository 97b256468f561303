//! Bad rows are named by file, line and column; good ones become clients.

use std::path::Path;

use dure_core::name::ClientName;
use dure_learn::{
    data::{
        Source,
        examples::{Inputs, Truth},
        load,
        people::{Generator, generate},
        table::{Target, check_rows, group, parse},
    },
    recipe::Recipe,
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

fn read(csv: &str) -> Result<dure_learn::data::DataSet, String> {
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
