//! The data that is asked about: orders, customers and products, the same for the same number of orders.
//!
//! Amounts are multiples of a quarter, so that their sums are the same in whatever order they are added up.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The earliest order's time: in November 2023.
pub(crate) const FIRST_PLACED_AT: i64 = 1_700_000_000_000;
/// All orders are placed within so many milliseconds: 400 days.
pub(crate) const PLACED_WITHIN_MS: i64 = 400 * 24 * 60 * 60 * 1_000;

/// How many customers a tenant has. Nothing is ordered by the last of them.
const CUSTOMERS_OF_TENANT: i64 = 5;
/// Nothing is ordered of so many products.
const PRODUCTS_UNSOLD: i64 = 10;

pub(crate) const STATUSES: [&str; 5] = ["new", "paid", "shipped", "returned", "cancelled"];
pub(crate) const CATEGORIES: [&str; 6] = ["book", "food", "game", "garden", "music", "tool"];
pub(crate) const CITIES: [&str; 7] =
    ["Bern", "Bergen", "Oslo", "Porto", "São Paulo", "Zürich", "Åbo"];
pub(crate) const NOTES: [&str; 11] = [
    "",
    "gift",
    "GIFT",
    "gift, call first",
    "call first",
    "50% off",
    "500 off",
    "under_score",
    "it's fragile",
    "Größe XL",
    "leave at the door",
];
const TAGS: [&str; 5] = ["gift", "urgent", "b2b", "new \"mark\"", "été"];

/// An order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) tenant: String,
    pub(crate) id: i64,
    pub(crate) customer: String,
    pub(crate) product: Option<String>,
    pub(crate) quantity: i64,
    pub(crate) total: f64,
    pub(crate) status: String,
    pub(crate) placed_at: i64,
    pub(crate) note: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) paid: bool,
}

/// A customer of a tenant.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) tenant: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) city: Option<String>,
    pub(crate) tier: Option<i64>,
    pub(crate) credit: Option<f64>,
}

/// A product, sold by all tenants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) category: String,
    pub(crate) price: f64,
    pub(crate) stock: Option<i64>,
    pub(crate) discontinued: bool,
}

impl Order {
    /// The tenant is what decides about the partition.
    pub(crate) fn key(&self) -> String {
        format!("{{{}}}:{}", self.tenant, self.id)
    }

    /// The tags as a column shows a list: the text of its JSON.
    pub(crate) fn tags_shown(&self) -> String {
        let quoted = self.tags.iter().map(|tag| format!("\"{}\"", tag.replace('"', "\\\"")));
        format!("[{}]", quoted.collect::<Vec<_>>().join(","))
    }
}

impl Customer {
    pub(crate) fn key(&self) -> String {
        format!("{{{}}}:{}", self.tenant, self.id)
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) orders: Vec<Order>,
    pub(crate) customers: Vec<Customer>,
    pub(crate) products: Vec<Product>,
}

impl Data {
    /// So many orders, of a hundredth as many tenants.
    pub(crate) fn of_orders(orders: u32) -> Data {
        let orders = i64::from(orders);
        let tenants = (orders / 100).max(20);
        let products = (orders / 100).clamp(50, 2_000);
        let mut random = Random::of_seed(7);
        let random = &mut random;
        Data {
            orders: (0..orders).map(|id| order(id, (tenants, products), random)).collect(),
            customers: (0..tenants * CUSTOMERS_OF_TENANT)
                .map(|number| customer(number, tenants, random))
                .collect(),
            products: (0..products).map(|number| product(number, random)).collect(),
        }
    }
}

fn quarters(random: &mut Random, least: i64, most: i64) -> f64 {
    random.between(least * 4, most * 4) as f64 / 4.0
}

fn tenant_name(number: i64) -> String {
    format!("t{number:05}")
}

fn customer_name(number: i64) -> String {
    format!("c{number:06}")
}

fn product_name(number: i64) -> String {
    format!("p{number:05}")
}

fn order(id: i64, (tenants, products): (i64, i64), random: &mut Random) -> Order {
    // The first tenants have more orders than the last.
    let tenant = random.below(tenants).min(random.below(tenants));
    let customer = match random.below(CUSTOMERS_OF_TENANT * 6) {
        0 => format!("x{tenant:06}"),
        other => customer_name(tenant + other % (CUSTOMERS_OF_TENANT - 1) * tenants),
    };
    let product = random.below(products - PRODUCTS_UNSOLD);
    let product = (!random.chance(5)).then(|| product_name(product));
    let quantity = random.between(-2, 20);
    let tags = random.below(4);
    Order {
        tenant: tenant_name(tenant),
        id,
        customer,
        product,
        quantity,
        total: quarters(random, -50, 950),
        status: random.pick(&STATUSES).to_owned(),
        placed_at: FIRST_PLACED_AT + random.below(PLACED_WITHIN_MS),
        note: (!random.chance(30)).then(|| random.pick(&NOTES).to_owned()),
        tags: (0..tags).map(|_| random.pick(&TAGS).to_owned()).collect(),
        paid: random.chance(60),
    }
}

fn customer(number: i64, tenants: i64, random: &mut Random) -> Customer {
    let city = random.pick(&CITIES);
    Customer {
        tenant: tenant_name(number % tenants),
        id: customer_name(number),
        name: format!("{} {}", random.pick(&["Ann", "Bo", "Cy", "Dée", "Eli"]), number % 97),
        city: (!random.chance(15)).then(|| city.to_owned()),
        tier: (!random.chance(20)).then(|| random.between(1, 4)),
        credit: (!random.chance(25)).then(|| quarters(random, -100, 1_000)),
    }
}

fn product(number: i64, random: &mut Random) -> Product {
    Product {
        id: product_name(number),
        name: format!("{} {}", random.pick(&["red", "Red", "blue", "plain"]), number % 31),
        category: random.pick(&CATEGORIES).to_owned(),
        price: quarters(random, 1, 120),
        stock: (!random.chance(20)).then(|| random.between(0, 60)),
        discontinued: random.chance(10),
    }
}
