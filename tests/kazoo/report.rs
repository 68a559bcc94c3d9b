//! What pytest's JUnit report says of each test.

/// How a test ended. An error outside the test's own body is a failure, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    Skipped,
}

#[derive(Debug, Default)]
pub struct Report {
    cases: Vec<(String, Outcome)>,
}

impl Report {
    /// Reads the elements `testcase`, in the form that pytest writes them.
    pub fn parse(xml: &str) -> Report {
        let mut cases = Vec::new();
        for element in xml.split("<testcase ").skip(1) {
            let (head, tail) = element.split_once('>').expect("a tag ends");
            let name = format!("{}.{}", attribute(head, "classname"), attribute(head, " name"));
            // A test without a remark is one tag; others hold their remarks inside.
            let inside = if head.ends_with('/') {
                ""
            } else {
                tail.split_once("</testcase>").map_or(tail, |(inside, _)| inside)
            };
            let outcome = if inside.contains("<failure ") || inside.contains("<error ") {
                Outcome::Failed
            } else if inside.contains("<skipped ") {
                Outcome::Skipped
            } else {
                Outcome::Passed
            };
            cases.push((name, outcome));
        }
        Report { cases }
    }

    pub fn names(&self, wanted: Outcome) -> impl Iterator<Item = &str> {
        self.cases.iter().filter(move |(_, is)| *is == wanted).map(|(name, _)| name.as_str())
    }
}

fn attribute<'a>(head: &'a str, name: &str) -> &'a str {
    let (_, rest) = head.split_once(&format!("{name}=\"")).expect("pytest names its tests");
    rest.split_once('"').expect("a quote ends").0
}

/// The three outcomes, in the words of pytest.
#[test]
fn a_report_tells_passed_failed_and_skipped_apart() {
    let report = Report::parse(
        r#"<testsuites><testsuite name="pytest"><testcase classname="a.B" name="one" time="1" />
        <testcase classname="a.B" name="two[&lt;x&gt;]"><failure message="m">text</failure></testcase>
        <testcase classname="a.B" name="three"><error message="m">text</error></testcase>
        <testcase classname="a.B" name="four"><skipped type="t" message="m">s</skipped></testcase>
        <testcase classname="a.B" name="five"><system-out>s</system-out></testcase></testsuite>"#,
    );
    let names = |outcome| report.names(outcome).collect::<Vec<_>>();
    assert_eq!(names(Outcome::Passed), ["a.B.one", "a.B.five"]);
    assert_eq!(names(Outcome::Failed), ["a.B.two[&lt;x&gt;]", "a.B.three"]);
    assert_eq!(names(Outcome::Skipped), ["a.B.four"]);
}
