//! The HTML of a page.

use crate::card::cards;
use crate::page_state::{Page, PageKind, PageStatus};

const STYLE: &str = "\
:root{color-scheme:light dark}\
*{box-sizing:border-box}\
body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:2rem 1rem;background:light-dark(#f3f4f6,#15171c)}\
main{max-width:26rem;margin:0 auto;padding:1.5rem;border:1px solid light-dark(#d8dbe0,#3a3e47);border-radius:.75rem;\
background:light-dark(#fff,#1e2127)}\
h1{font-size:1.125rem;margin:0 0 .75rem}\
p{margin:0 0 .75rem}\
.amount{font-size:2rem;font-weight:600;line-height:1.2;margin:0}\
.note,aside{color:light-dark(#565c66,#a7adb8);font-size:.875rem}\
[role=alert]{border-left:.25rem solid #d43c3c;background:light-dark(#fdf0f0,#3a2327);padding:.5rem .75rem}\
label{display:block;margin-bottom:.25rem;font-weight:600}\
input,button{font:inherit;width:100%;padding:.5rem .75rem;border-radius:.5rem;border:1px solid #7a808b;\
background:transparent;color:inherit}\
button{margin-top:.75rem;cursor:pointer}\
.main{background:#3b4fd1;border-color:#3b4fd1;color:#fff;font-weight:600}\
aside{margin-top:1.5rem}\
caption{text-align:left;font-weight:600;padding-bottom:.25rem}\
table{border-collapse:collapse}\
th,td{text-align:left;font-weight:400;padding:.125rem .75rem .125rem 0;vertical-align:top}\
th{white-space:nowrap;font-variant-numeric:tabular-nums}\
@media(min-width:46rem){main:has(aside){max-width:46rem;display:grid;grid-template-columns:1fr 1.2fr;gap:2rem}\
aside{margin:0}}";

/// Returns the HTML of a page, without scripts. `message` is shown above the form.
#[must_use]
pub fn html(page: &Page, message: Option<&str>) -> String {
    let mut main = String::from("<section>\n<h1>Simulated payment</h1>\n");
    if let Some((cents, currency)) = &page.amount {
        add(&mut main, &format!("<p class=\"amount\">{}</p>", escaped(&amount(*cents, currency))));
    }
    if !page.description.is_empty() {
        add(&mut main, &format!("<p>{}</p>", escaped(&page.description)));
    }
    add(&mut main, "<p class=\"note\">This page stands for Stripe's. No money moves.</p>");
    if let Some(message) = message {
        add(&mut main, &format!("<p role=\"alert\">{}</p>", escaped(message)));
    }
    match (page.status, page.kind) {
        (PageStatus::Open, PageKind::Authentication) => add(&mut main, &step_form(&page.id)),
        (PageStatus::Open, kind) => add(&mut main, &card_form(kind, &page.id)),
        (PageStatus::Complete, _) => add(&mut main, "<p>This payment is complete.</p>"),
        (PageStatus::Expired, _) => add(&mut main, "<p>This page is no longer open.</p>"),
    }
    if let Some(url) = page.return_url.as_deref().filter(|_| page.status != PageStatus::Open) {
        add(&mut main, &format!("<p><a href=\"{}\">Return</a></p>", escaped(url)));
    }
    main.push_str("</section>\n");
    if page.status == PageStatus::Open && page.kind != PageKind::Authentication {
        add(&mut main, &test_numbers());
    }
    document("Simulated payment", &main)
}

/// Returns an HTML document with a title and the elements of its part `main`.
#[must_use]
pub fn document(title: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{main}</main>\n</body>\n</html>\n"
    )
}

fn add(html: &mut String, line: &str) {
    html.push_str(line);
    html.push('\n');
}

/// The start of a form. It is sent to the page of an object, also from the page of another one.
fn form_of(id: &str) -> String {
    format!("<form method=\"post\" action=\"{}\">", escaped(id))
}

fn card_form(kind: PageKind, id: &str) -> String {
    let act = if kind == PageKind::Payment { "Pay" } else { "Save the card" };
    let mut form = form_of(id);
    form.push_str(
        "\n<label for=\"card\">Card number</label>\n\
         <input id=\"card\" name=\"card_number\" inputmode=\"numeric\" autocomplete=\"off\" required \
         value=\"4242 4242 4242 4242\">\n",
    );
    add(&mut form, &button("pay", act, " class=\"main\""));
    // The browser does not check the number for the other buttons.
    add(&mut form, &button("decline", "Use a card that is declined", " formnovalidate"));
    add(&mut form, &button("leave", "Leave", " formnovalidate"));
    form.push_str("</form>");
    form
}

fn test_numbers() -> String {
    let mut table = String::from("<aside>\n<table>\n<caption>Test numbers</caption>\n");
    for card in cards() {
        let row = format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
            spaced(card.number),
            card.description
        );
        add(&mut table, &row);
    }
    table.push_str("</table>\n</aside>");
    table
}

fn step_form(id: &str) -> String {
    format!(
        "<p>The bank asks you to confirm.</p>\n{}\n{}\n{}\n</form>",
        form_of(id),
        button("confirm", "Confirm", " class=\"main\""),
        button("refuse", "Refuse", ""),
    )
}

fn button(value: &str, text: &str, attributes: &str) -> String {
    format!("<button name=\"choice\" value=\"{value}\"{attributes}>{text}</button>")
}

/// A card number in groups of four digits.
fn spaced(number: &str) -> String {
    let mut spaced = String::new();
    for (position, digit) in number.chars().enumerate() {
        if position > 0 && position % 4 == 0 {
            spaced.push(' ');
        }
        spaced.push(digit);
    }
    spaced
}

/// An amount such as `50.00 USD`.
#[must_use]
pub fn amount(cents: u64, currency: &str) -> String {
    format!("{}.{:02} {}", cents / 100, cents % 100, currency.to_ascii_uppercase())
}

/// A text for HTML.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(kind: PageKind, status: PageStatus) -> Page {
        Page {
            kind,
            id: "cs_test_1".to_owned(),
            amount: Some((5_005, "usd".to_owned())),
            description: "<b>Credits</b> & \"more\"".to_owned(),
            status,
            return_url: Some("https://shop.test/?a=1&b='\"".to_owned()),
        }
    }

    #[test]
    fn a_page_of_a_payment_has_a_form() {
        let html = html(&page(PageKind::Payment, PageStatus::Open), Some("<Declined>"));
        for part in [
            "<title>Simulated payment</title>",
            "50.05 USD",
            "&lt;b&gt;Credits&lt;/b&gt; &amp; &quot;more&quot;",
            "No money moves.",
            "<p role=\"alert\">&lt;Declined&gt;</p>",
            "<form method=\"post\" action=\"cs_test_1\">",
            "<label for=\"card\">",
            "autocomplete=\"off\"",
            "value=\"4242 4242 4242 4242\"",
            "name=\"choice\" value=\"pay\"",
            "name=\"choice\" value=\"decline\"",
            "name=\"choice\" value=\"leave\"",
            "4000 0000 0000 0341",
            "color-scheme:light dark",
            "width=device-width",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        for part in ["<b>", "<script", "value=\"confirm\"", "shop.test"] {
            assert!(!html.contains(part), "{part}");
        }
    }

    #[test]
    fn a_page_of_a_step_has_two_choices() {
        let html = html(&page(PageKind::Authentication, PageStatus::Open), None);
        assert!(html.contains("value=\"confirm\"") && html.contains("value=\"refuse\""));
        assert!(!html.contains("card_number") && !html.contains("role=\"alert\""));
    }

    #[test]
    fn a_closed_page_links_to_the_return_url() {
        for (status, text) in
            [(PageStatus::Complete, "is complete"), (PageStatus::Expired, "no longer open")]
        {
            let html = html(&page(PageKind::Payment, status), None);
            assert!(html.contains(text) && !html.contains("<form"));
            assert!(html.contains("href=\"https://shop.test/?a=1&amp;b=&#39;&quot;\""), "{html}");
        }
    }
}
