//! Where a reader is: folder, page, order, search, open message. Read from an address and written as one.

use mailkiln_servers::imap::Order;

use crate::form::{Fields, escaped};

/// An address below `/mail`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The folder's name as the server writes it.
    pub(super) folder: String,
    /// The message that is open.
    pub(super) message: Option<u32>,
    /// The page begins with this message.
    pub(super) from: Option<u32>,
    /// The page ends before this message.
    pub(super) above: Option<u32>,
    /// Another order than that of arrival, and whether the newest or largest comes first.
    pub(super) order: Option<(Order, bool)>,
    /// By conversation.
    pub(super) grouped: bool,
    /// What is searched for, as it was typed.
    pub(super) find: String,
    /// Names what can be undone.
    pub(super) done: String,
}

const ORDERS: [(Order, &str); 5] = [
    (Order::Date, "date"),
    (Order::From, "from"),
    (Order::Subject, "subject"),
    (Order::Size, "size"),
    (Order::Arrival, "arrival"),
];

/// Longest search.
const LONGEST: usize = 500;

impl Place {
    /// Reads the fields of a query or of a form.
    pub(super) fn read(fields: &Fields) -> Self {
        let uid = |name| fields.text(name).parse().ok().filter(|uid| *uid > 0);
        let folder = match fields.text("f") {
            "" => "INBOX".to_owned(),
            folder => folder.to_owned(),
        };
        Self {
            folder,
            message: uid("m"),
            from: uid("c"),
            above: uid("a"),
            order: order(fields.text("o")),
            grouped: fields.text("g") == "1",
            find: fields.text("q").trim().chars().take(LONGEST).collect(),
            done: fields.text("done").chars().take(64).collect(),
        }
    }

    /// The first page of the same list, with nothing open.
    pub(super) fn list(&self) -> Self {
        Self { message: None, from: None, above: None, done: String::new(), ..self.clone() }
    }

    /// The same page with a message open.
    pub(super) fn with(&self, message: u32) -> Self {
        Self { message: Some(message), done: String::new(), ..self.clone() }
    }

    /// The same page with nothing open.
    pub(super) fn closed(&self) -> Self {
        Self { message: None, done: String::new(), ..self.clone() }
    }

    /// The page that begins with `uid`.
    pub(super) fn from(&self, uid: u32) -> Self {
        Self { from: Some(uid), ..self.list() }
    }

    /// The page that ends before `uid`.
    pub(super) fn above(&self, uid: u32) -> Self {
        Self { above: Some(uid), ..self.list() }
    }

    /// In another order. The order that is there already is turned round.
    pub(super) fn sorted(&self, order: Order) -> Self {
        let newest_first = matches!(order, Order::Arrival | Order::Date | Order::Size);
        let turned = match self.order {
            Some((own, first)) if own == order => !first,
            None if order == Order::Arrival => false,
            _ => newest_first,
        };
        let plain = order == Order::Arrival && turned;
        Self { order: (!plain).then_some((order, turned)), grouped: false, ..self.list() }
    }

    /// The fields, as forms repeat them.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("f", self.folder.clone())];
        let mut uid = |name, value: Option<u32>| {
            fields.extend(value.map(|uid| (name, uid.to_string())));
        };
        uid("m", self.message);
        uid("c", self.from);
        uid("a", self.above);
        if let Some((order, first)) = self.order {
            let name = ORDERS.iter().find(|(own, _)| *own == order).map_or("", |(_, name)| name);
            fields.push(("o", format!("{}{name}", if first { "-" } else { "" })));
        }
        if self.grouped {
            fields.push(("g", "1".to_owned()));
        }
        if !self.find.is_empty() {
            fields.push(("q", self.find.clone()));
        }
        if !self.done.is_empty() {
            fields.push(("done", self.done.clone()));
        }
        fields
    }

    /// The address, `path` with the query.
    pub(super) fn link(&self, path: &str) -> String {
        let query: Vec<String> =
            self.fields().iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        format!("{path}?{}", query.join("&"))
    }

    /// The address of the page.
    pub(super) fn here(&self) -> String {
        self.link("/mail")
    }
}

fn order(text: &str) -> Option<(Order, bool)> {
    let (name, first) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    ORDERS.iter().find(|(_, own)| *own == name).map(|(order, _)| (*order, first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn orders_turn_round() {
        let place = Place { folder: "INBOX".into(), ..Place::default() };
        assert_eq!(place.sorted(Order::From).order, Some((Order::From, false)));
        assert_eq!(place.sorted(Order::From).sorted(Order::From).order, Some((Order::From, true)));
        assert_eq!(place.sorted(Order::Size).order, Some((Order::Size, true)));
        assert_eq!(place.sorted(Order::Arrival).order, Some((Order::Arrival, false)));
        assert_eq!(place.sorted(Order::Arrival).sorted(Order::Arrival).order, None);
    }

    proptest! {
        #[test]
        fn an_address_is_read_as_it_was_written(
            folder in "\\PC{1,20}", find in "[a-z:\"&=%+#]{0,20}", message in proptest::option::of(1_u32..),
            from in proptest::option::of(1_u32..), grouped: bool, first: bool,
        ) {
            let order = (!grouped).then_some((Order::Subject, first));
            let place = Place { folder, find, message, from, grouped, order, ..Place::default() };
            let link = place.here();
            let query = link.split_once('?').unwrap().1;
            prop_assert_eq!(Place::read(&Fields::parse(query.as_bytes()).unwrap()), place);
        }
    }
}
