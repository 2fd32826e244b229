//! Sources: what is published, what is refused, and that refusals say nothing of the rows.

use std::time::{Duration, SystemTime};

use super::{Folder, World, key};
use crate::party::local::LocalError;
use crate::party::local::data::{ColumnSurvey, LocalData, PatientSurvey};

const X: &str = "[[table.column]]\nname = \"x\"\nkind = \"integer\"\nmin = 0\nmax = 9\n";

fn opened(content: &[u8], source: &str, columns: &str) -> Result<LocalData, LocalError> {
    let folder = Folder::new(&[]);
    folder.write("t.csv", content);
    LocalData::open(&folder.config(source, columns), key())
}

#[test]
fn a_broken_source_is_a_typed_error_without_content() {
    let csv = "{ csv = \"t.csv\" }";
    let cases: [(&[u8], &str, &str); 12] = [
        (b"y\n1\n", csv, "data.column"),
        (b"x\n1\n", "{ csv = \"absent.csv\" }", "data.unreadable"),
        (b"x\n1\n", "{ csv = \".\" }", "data.unreadable"),
        (b"", csv, "data.malformed"),
        (b"x,y\n1,2\n3,4,secret5,6\n", csv, "data.malformed"),
        (b"y,x\n1,2\nsecret, and more,4\n", csv, "data.malformed"),
        (b"x\n\"secret\n", csv, "data.malformed"),
        (b"x,x\n1,secret\n", csv, "data.malformed"),
        (b"x\nsecret\nsecret\n", csv, "data.mapping"),
        (b"x\n1\n", "{ parquet = \"t.csv\" }", "data.malformed"),
        (b"PAR1secretPAR1", "{ parquet = \"t.csv\" }", "data.malformed"),
        (b"x\n\xff\xfesecret\n", csv, "data.malformed"),
    ];
    for (content, source, code) in cases {
        let error = opened(content, source, X).unwrap_err();
        let shown = String::from_utf8_lossy(content);
        assert_eq!(error.code(), code, "{shown:?} from {source}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn more_rows_than_announced_are_refused() {
    let rows = "x\n".to_owned() + &"1\n".repeat(1001);
    let error = opened(rows.as_bytes(), "{ csv = \"t.csv\" }", X).unwrap_err();
    assert_eq!(error, LocalError::TooManyRows { table: "t".into(), rows: 1001, rows_max: 1000 });
    assert!(opened("x\n".as_bytes(), "{ csv = \"t.csv\" }", X).is_ok(), "no rows are fine");
}

#[test]
fn the_publication_has_fixed_point_bounds_and_a_version() {
    let columns = "[[table.column]]\nname = \"bmi\"\nsource = \"BMI\"\nkind = \"real\"\ndigits = 1\nmin = 10\nmax = 80.5\n";
    let folder = Folder::new(&[("t.csv", "BMI\n22.5\n")]);
    let publication = folder.data("{ csv = \"t.csv\" }", columns).publication("A", 7).unwrap();
    let table = publication.table("t").unwrap();
    let column = table.column("bmi").unwrap();
    assert_eq!((column.min, column.max, column.digits), (100, 805, 1));
    assert_eq!((publication.floor, publication.hospital.as_str(), table.rows_max), (7, "A", 1000));
    assert_eq!(table.dataset_version.len(), 64);
}

#[test]
fn the_version_follows_the_rows_and_the_mapping() {
    let folder = Folder::new(&[("t.csv", "x\n1\n"), ("copy.csv", "x\n1\n")]);
    let data = folder.data("{ csv = \"t.csv\" }", X);
    let version = data.dataset_version("t").unwrap();
    assert_eq!(data.dataset_version("t").unwrap(), version);
    assert_eq!(folder.data("{ csv = \"copy.csv\" }", X).dataset_version("t").unwrap(), version);
    let wider = X.replace("max = 9", "max = 10");
    assert_ne!(folder.data("{ csv = \"t.csv\" }", &wider).dataset_version("t").unwrap(), version);

    // Same size, another time: the file is read again.
    folder.write("t.csv", b"x\n2\n");
    let later = SystemTime::now() + Duration::from_secs(5);
    std::fs::File::options()
        .append(true)
        .open(folder.dir.path().join("t.csv"))
        .unwrap()
        .set_modified(later)
        .unwrap();
    assert_ne!(data.dataset_version("t").unwrap(), version);
}

#[test]
fn a_survey_counts_what_does_not_map() {
    let columns = format!(
        "patient = \"id\"\n{X}[[table.column]]\nname = \"c\"\nkind = \"category\"\ncodes = [\"u\", \"v\"]\nvalues = {{ U = \"u\" }}\n"
    );
    let rows = "id,x,c\n1,1,u\n1,NA,U\n2,12,w\n,abc,\n3, 5 , v \n";
    let survey = Folder::new(&[("t.csv", rows)]).data("{ csv = \"t.csv\" }", &columns).survey("t").unwrap();
    assert_eq!(survey.rows, 5);
    assert_eq!(survey.patients, Some(PatientSurvey { distinct: 3, missing: 1 }));
    let x = ColumnSurvey {
        column: "x".into(),
        missing: 1,
        unparseable: 1,
        unmapped: 0,
        out_of_bounds: 1,
        range: Some((1, 12)),
    };
    let c = ColumnSurvey {
        column: "c".into(),
        missing: 1,
        unparseable: 0,
        unmapped: 1,
        out_of_bounds: 0,
        range: Some((0, 1)),
    };
    assert_eq!(survey.columns, [x, c]);
}

#[test]
fn units_codes_and_null_values_are_mapped() {
    let columns = "null_values = [\"-9\"]\n\
        [[table.column]]\nname = \"glucose\"\nsource = \"mmol\"\nkind = \"real\"\ndigits = 1\nmin = 0\nmax = 500\nscale = 18.018\n\
        [[table.column]]\nname = \"celsius\"\nsource = \"kelvin\"\nkind = \"real\"\ndigits = 2\nmin = 30\nmax = 45\noffset = -273.15\n\
        [[table.column]]\nname = \"smoker\"\nkind = \"integer\"\nmin = 0\nmax = 1\nvalues = { yes = 1, no = \"0\" }\n";
    let rows = "mmol,kelvin,smoker\n5.5,310.15,yes\n-9,311.15,no\n7,-9,1\n";
    let folder = Folder::new(&[("t.csv", rows)]);
    let world = World::one(1, folder.data("{ csv = \"t.csv\" }", columns));
    // Masks of three strata, then count and sum of each.
    let slots = world.slots("SELECT SUM(glucose), SUM(celsius), SUM(smoker) FROM t");
    assert_eq!(slots[3..9], [2, 991 + 1261, 2, 3700 + 3800, 3, 2]);
}

#[test]
fn headings_with_a_mark_of_byte_order_quotes_and_blank_lines_at_the_end_are_read() {
    let rows = "\u{feff}\"x\",y\r\n1,\"a, b\"\r\n2,\"c \"\"d\"\"\"\r\n\r\n";
    let folder = Folder::new(&[("t.csv", rows)]);
    assert_eq!(folder.data("{ csv = \"t.csv\" }", X).survey("t").unwrap().rows, 2);
    folder.write("t.csv", b"x\n1\n\n3\n");
    let survey = folder.data("{ csv = \"t.csv\" }", X).survey("t").unwrap();
    assert_eq!((survey.rows, survey.columns[0].missing), (3, 1));
}
