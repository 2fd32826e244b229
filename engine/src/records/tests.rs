//! The shipped exports through their mappings, and tables out of small sources written here.

use std::path::Path;

use serde_json::json;

use super::mapping::Mapping;
use super::source::{Origin, RecordsSource};
use super::table::{Sink, columns};
use super::{Reason, RecordsError, Rejects};

/// Rows as texts, by column.
#[derive(Default)]
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl Sink for Table {
    fn row(&mut self, fields: &[Option<String>]) -> Result<(), RecordsError> {
        self.rows.push(fields.to_vec());
        Ok(())
    }
}

impl Table {
    fn column(&self, name: &str) -> Vec<&str> {
        let at = self.names.iter().position(|n| n == name).unwrap_or_else(|| panic!("{name}"));
        self.rows.iter().map(|row| row[at].as_deref().unwrap_or("-")).collect()
    }
}

fn read(source: &RecordsSource) -> Result<(Table, Rejects), RecordsError> {
    let mapping = source.mapping()?;
    let mut table = Table { names: columns(source.table(&mapping)?), rows: Vec::new() };
    let rejects = source.read(&mapping, source.open()?.as_mut(), &mut table)?;
    Ok((table, rejects))
}

/// A folder with these files and a mapping of one table `t`.
fn fhir(files: &[(&str, String)], mapping: &str) -> Result<(Table, Rejects), RecordsError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let text = format!("schema = \"ward-mapping/1\"\nstandard = \"fhir-r4\"\n{mapping}");
    let mapping = folder.path().join("mapping.toml");
    std::fs::write(&mapping, text).unwrap();
    read(&RecordsSource { origin: Origin::Fhir(folder.path().to_owned()), mapping, table: "t".into() })
}

fn lines(resources: &[serde_json::Value]) -> String {
    resources.iter().map(|r| format!("{r}\n")).collect()
}

fn patient(id: &str) -> serde_json::Value {
    json!({"resourceType": "Patient", "id": id, "gender": "female", "birthDate": "1980-03-05"})
}

fn value(id: &str, patient: &str, at: &str, quantity: &serde_json::Value) -> serde_json::Value {
    json!({"resourceType": "Observation", "id": id, "status": "final", "effectiveDateTime": at,
        "subject": {"reference": format!("Patient/{patient}")}, "valueQuantity": quantity})
}

const GLUCOSE: &str = "path = \"value.ofType(Quantity)\", unit = \"mg/dL\", molar_mass = 180.156";

#[test]
fn a_patients_row_takes_one_value_of_many() {
    let mg = |v: f64| json!({"value": v, "code": "mg/dL"});
    let observations = [
        value("o1", "a", "2026-01-02", &mg(90.0)),
        value("o2", "a", "2026-03-01T08:00:00+02:00", &mg(70.5)),
        value("o3", "a", "2026-03-01T07:00:00Z", &json!({"value": 10, "code": "mmol/L"})),
        value("o4", "b", "2026-01-01", &json!({"value": 5, "code": "g"})),
        value("o3", "a", "2027-01-01", &mg(1.0)),
    ];
    let map = |take: &str| format!("{take} = {{ of = \"Observation\", {GLUCOSE}, take = \"{take}\" }}\n");
    let takes: String = ["first", "last", "min", "max"].map(map).concat();
    let mapping = format!(
        "[table.t]\nrow = \"Patient\"\n[table.t.column]\nsex = \"gender\"\n{takes}\
         n = {{ of = \"Observation\", take = \"count\" }}\nhas = {{ of = \"Observation\", take = \"any\" }}\n\
         age = {{ derive = \"ageAt(born, @2026-03-04)\" }}\nborn = \"birthDate\"\n"
    );
    for reverse in [false, true] {
        let mut observations = observations[..4].to_vec();
        if reverse {
            observations.reverse();
        }
        observations.push(value("o3", "a", "2027-01-01", &mg(1.0)));
        let files = [
            ("Patient.ndjson", lines(&[patient("a"), patient("b"), patient("c")])),
            ("Observation.000.ndjson", lines(&observations[..2])),
            ("Observation.001.ndjson", lines(&observations[2..])),
        ];
        let (table, rejects) = fhir(&files, &mapping).unwrap();
        assert_eq!(table.column("patient"), ["a", "b", "c"]);
        assert_eq!(table.column("first"), ["90.0", "-", "-"]);
        assert_eq!(table.column("last"), ["180.156", "-", "-"]);
        assert_eq!(table.column("min"), ["70.5", "-", "-"]);
        assert_eq!(table.column("max"), ["180.156", "-", "-"]);
        assert_eq!(table.column("n"), ["3", "1", "0"]);
        assert_eq!(table.column("has"), ["1", "1", "0"]);
        assert_eq!(table.column("age"), ["45", "45", "45"]);
        // Patient b's grams, in each of the four columns.
        assert_eq!(rejects.reasons, [(Reason::Duplicate, 1), (Reason::Unit, 4)].into());
        assert_eq!(rejects.read, [("Observation".to_owned(), 5), ("Patient".to_owned(), 3)].into());
    }
}

#[test]
fn an_observations_row_knows_its_patient() {
    let observations = [
        value("o1", "a", "2026-03-05", &json!({"value": 7.5, "code": "%"})),
        value("o2", "z", "2026-03-05", &json!({"value": 8, "unit": "%", "comparator": "<"})),
        json!({"resourceType": "Observation", "id": "o3", "subject": {"reference": "Group/1"}}),
        json!({"resourceType": "Observation", "id": "o4", "status": "entered-in-error", "subject": {"reference": "Patient/a"}}),
        json!({"resourceType": "Condition", "id": "o5"}),
    ];
    let text = lines(&observations) + "{\"resourceType\": \n[1]\n\n";
    let mapping = "[table.t]\nrow = \"Observation\"\n[table.t.column]\nsex = { of = \"Patient\", path = \"gender\" }\n\
        born = { of = \"Patient\", path = \"birthDate\" }\nat = \"effective\"\nage = { derive = \"ageAt(born, at)\" }\n\
        v = \"value.ofType(Quantity)\"\n";
    let (table, rejects) =
        fhir(&[("Patient.ndjson", lines(&[patient("a")])), ("Observation.ndjson", text)], mapping).unwrap();
    assert_eq!(table.column("patient"), ["a", "z"]);
    assert_eq!(table.column("sex"), ["female", "-"]);
    assert_eq!(table.column("age"), ["46", "-"]);
    assert_eq!(table.column("v"), ["7.5", "-"]);
    let reasons = [
        (Reason::Malformed, 2),
        (Reason::OtherType, 1),
        (Reason::EnteredInError, 1),
        (Reason::NoPatient, 1),
        (Reason::Inexact, 1),
    ];
    assert_eq!(rejects.reasons, reasons.into());
}

#[test]
fn a_kind_without_a_file_is_no_empty_kind() {
    let mapping =
        "[table.t]\nrow = \"Patient\"\n[table.t.column]\ne11 = { of = \"Condition\", take = \"any\" }\n";
    let files = [("Patient.ndjson", lines(&[patient("a")]))];
    let error = fhir(&files, mapping).err().unwrap();
    assert!(matches!(&error, RecordsError::KindAbsent { kind, .. } if kind == "Condition"), "{error}");
    let with_empty = [("Patient.ndjson", lines(&[patient("a")])), ("Condition.ndjson", String::new())];
    assert_eq!(fhir(&with_empty, mapping).unwrap().0.column("e11"), ["0"]);
}

#[test]
fn a_mapping_that_makes_no_sense_is_refused_with_its_place() {
    let head = "schema = \"ward-mapping/1\"\nstandard = \"omop-5.3\"\n[table.t]\nrow = \"person\"\n[table.t.column]\n";
    for (column, says) in [
        ("X = \"person_id\"", "lower-case"),
        ("patient = \"person_id\"", "every table has"),
        ("x = \"nothing\"", "no column `nothing`"),
        ("x = \"person_id.\"", "expected a name"),
        ("x = { of = \"persons\", take = \"any\" }", "no `persons`"),
        ("x = { of = \"measurement\", path = \"value_as_number\" }", "needs take"),
        ("x = { of = \"measurement\", take = \"last\" }", "path of the value"),
        ("x = { of = \"measurement\", take = \"any\", path = \"value_as_number\" }", "no path"),
        ("x = { of = \"measurement\", take = \"last\", path = \"unit_source_concept_id\" }", "no column"),
        ("x = { of = \"concept\", take = \"count\" }", "of no patient"),
        ("x = { path = \"person_id\", take = \"last\" }", "need `of`"),
        ("x = { path = \"person_id\", unit = \"furlong\" }", "unknown unit"),
        ("x = { path = \"person_id\", molar_mass = 3 }", "need unit"),
        ("x = { derive = \"y\" }", "`y`"),
        ("x = { derive = \"1\", path = \"person_id\" }", "stands alone"),
        ("x = { path = \"person_id\", wrong = 1 }", ""),
        ("x = {}", "needs path"),
        ("", "0 columns"),
    ] {
        let error = Mapping::parse(&format!("{head}{column}"), "m.toml").unwrap_err();
        assert!(error.to_string().contains(says), "{column}: {error}");
        assert_eq!(error.code(), "data.mapping_file");
    }
    assert!(Mapping::parse("schema = \"ward-mapping/2\"\nstandard = \"fhir-r4\"", "m").is_err());
    assert!(Mapping::parse("schema = 1", "m").unwrap_err().to_string().contains("line 1"));
}

#[test]
fn omop_tables_in_files_are_read_by_their_names_in_any_case_and_order() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("PERSON.csv", "YEAR_OF_BIRTH\tPERSON_ID\n1950\t1\n1960\t2\n1970\n\t3\n");
    write(
        "measurement.csv",
        "measurement_id,person_id,measurement_date,value_as_number,unit_source_value\n\
        1,1,2020-01-01,90,mg/dL\n2,1,2021-01-01,5,mmol/L\n3,9,2021-01-01,5,mmol/L\n4,2,2021-01-01,5,\n",
    );
    let text = "schema = \"ward-mapping/1\"\nstandard = \"omop-5.4\"\n[table.t]\nrow = \"person\"\n\
        [table.t.column]\nborn = \"year_of_birth\"\nglucose = { of = \"measurement\", path = \"value_as_number\", \
        unit_path = \"unit_source_value\", unit = \"mg/dL\", molar_mass = 180.156, take = \"last\" }\n";
    write("mapping.toml", text);
    let source = RecordsSource {
        origin: Origin::OmopFiles(folder.path().to_owned()),
        mapping: folder.path().join("mapping.toml"),
        table: "t".into(),
    };
    let (table, rejects) = read(&source).unwrap();
    assert_eq!(table.column("patient"), ["1", "2", "3"]);
    assert_eq!(table.column("born"), ["1950", "1960", "-"]);
    assert_eq!(table.column("glucose"), ["90.078", "-", "-"]);
    assert_eq!(rejects.reasons, [(Reason::Malformed, 1), (Reason::Unit, 1)].into());
    write("mapping.toml", &text.replace("year_of_birth", "month_of_birth"));
    assert!(matches!(read(&source).err(), Some(RecordsError::ColumnAbsent { .. })));
    write("mapping.toml", &text.replace("omop-5.4", "fhir-r4"));
    assert!(matches!(read(&source).err(), Some(RecordsError::Mapping { .. })));
    assert!(source.stamps().unwrap().iter().any(|(path, ..)| path.ends_with(Path::new("PERSON.csv"))));
}
