//! The client against localstripe, a server of another author, over HTTP. It has no Checkout and no idempotency keys.
//! `.ci/payments` starts the server and runs this test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at what it did not expect"
)]

use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use engine::prices;
use form_urlencoded::Serializer;
use http_body_util::BodyExt;
use purchase::stripe::{
    Customer, Expandable, Intent, IntentStatus, Reply, Secret, Secrets, Stripe, is_signed,
};
use serde_json::Value;
use shared::aws::connect::connector;
use shared::domain::Credits;
use shared::domain::catalogue::price_list::Offer;
use shared::domain::ids::{CallerKey, Id, ProviderId, TeamId};
use shared::domain::purchase::Purchase;
use shared::lambda::Clock;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

const TEAM: &str = "acme";

const WEBHOOK_SECRET: &str = "whsec_1";

const KEY: &str = "sk_test_localstripe";

fn team(name: &str) -> TeamId {
    name.parse().unwrap()
}

/// A purchase of 5,000 credits for $50.
fn purchase() -> Purchase {
    let key = CallerKey::of_machine("k".parse().unwrap());
    Purchase::new(&team(TEAM), key, "ada".parse().unwrap(), offer(), Clock::system().now())
}

fn top_up() -> Purchase {
    let event = Id::of("ev", &team(TEAM), "1");
    Purchase::top_up(&team(TEAM), &event, offer(), Clock::system().now())
}

fn offer() -> Offer {
    prices().offer(Credits::new(5_000)).unwrap()
}

/// A message and its header `Stripe-Signature`.
type Message = (String, Bytes);

struct Server {
    url: String,
    client: Stripe,
}

impl Server {
    fn from_env() -> Self {
        let url = std::env::var("LOCALSTRIPE_URL").unwrap_or_else(|_| panic!("run .ci/payments"));
        let secret = Secret { api_key: KEY.to_owned(), webhook_secrets: Vec::new() };
        let secrets = Secrets::Fixed(secret.into());
        let client = Stripe::new(connector(), secrets, "https://app.example").at(&url);
        Self { url, client }
    }

    /// Sends a request that the function does not make.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = HttpRequest::new(SdkBody::from(form));
        request.set_method("POST").unwrap();
        request.set_uri(format!("{}{path}", self.url)).unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {KEY}"));
        request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
        let answer = connector().call(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes().to_vec();
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        body
    }

    /// A new customer with this card.
    async fn customer(&self, number: &str) -> Customer {
        let id = self.client.customer_create(&team(TEAM)).await.unwrap();
        let card = [
            ("type", "card"),
            ("card[number]", number),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2034"),
            ("card[cvc]", "123"),
        ];
        let card: Value =
            serde_json::from_slice(&self.post("/v1/payment_methods", &card).await).unwrap();
        let path = format!("/v1/payment_methods/{}/attach", card["id"].as_str().unwrap());
        self.post(&path, &[("customer", id.as_str())]).await;
        self.client.customer_read(&id).await.unwrap().unwrap()
    }

    /// The payment of a purchase by the customer's card. It takes no money yet.
    async fn intent(&self, purchase: &Purchase, customer: &Customer) -> Intent {
        let card = customer.card.as_ref().unwrap();
        let created = self.client.intent_create(purchase, &customer.id, card).await.unwrap();
        let Reply::Accepted(intent) = created else { panic!("{created:?}") };
        assert_eq!((intent.status, intent.amount), (IntentStatus::RequiresConfirmation, 5_000));
        intent
    }

    async fn read(&self, id: &ProviderId) -> Intent {
        self.client.intent_read(id).await.unwrap().unwrap()
    }

    async fn stores_a_card(&self) {
        let customer = self.customer("4242424242424242").await;
        let card = customer.card.unwrap();
        assert_eq!((card.card.brand.as_str(), card.card.last4.as_str()), ("visa", "4242"));
        let default = ("invoice_settings[default_payment_method]", card.id.as_str());
        self.post(&format!("/v1/customers/{}", customer.id), &[default]).await;
        let chosen = self.client.customer_read(&customer.id).await.unwrap().unwrap();
        assert_eq!(chosen.card.unwrap().id, card.id);
        step("a customer has a stored card, which can be the default");
    }

    async fn takes_money(&self) -> ProviderId {
        let (purchase, customer) = (purchase(), self.customer("4242424242424242").await);
        let intent = self.intent(&purchase, &customer).await;
        let confirmed = self.client.intent_confirm(&intent.id, &purchase).await.unwrap();
        let Reply::Accepted(confirmed) = confirmed else { panic!("{confirmed:?}") };
        assert_eq!(confirmed.status, IntentStatus::Succeeded);
        let paid = self.read(&intent.id).await;
        assert_eq!(paid.status, IntentStatus::Succeeded);
        assert_eq!((paid.customer, paid.currency.as_str()), (Some(customer.id), "usd"));
        let named = |name: &str| paid.metadata[name].clone();
        let expected = (TEAM.to_owned(), purchase.id.to_string(), "5000".to_owned());
        assert_eq!((named("team"), named("purchase"), named("credits")), expected);
        let charge = paid.latest_charge.as_ref().and_then(Expandable::object).unwrap();
        assert_eq!((charge.disputed, charge.amount_refunded), (false, 0));
        step("a payment is created, confirmed and read");
        let again = self.client.intent_confirm(&intent.id, &purchase).await.unwrap();
        assert!(matches!(again, Reply::Refused(_)), "{again:?}");
        let cancelled = self.client.intent_cancel(&intent.id).await.unwrap();
        assert!(matches!(cancelled, Reply::Refused(_)), "{cancelled:?}");
        step("a paid payment is neither confirmed again nor cancelled");
        intent.id
    }

    async fn refunds_money(&self, id: &ProviderId) {
        self.post("/v1/refunds", &[("payment_intent", id.as_str()), ("amount", "1200")]).await;
        let refunds = self.client.refunds_list(id).await.unwrap();
        assert_eq!(refunds.iter().map(|refund| refund.amount).collect::<Vec<_>>(), [1_200]);
        let paid = self.read(id).await;
        let charge = paid.latest_charge.as_ref().and_then(Expandable::object).unwrap();
        assert_eq!(charge.amount_refunded, 1_200);
        step("a refund is listed");
    }

    async fn is_declined(&self) {
        // It can be stored, and is declined when it is charged.
        let customer = self.customer("4000000000000341").await;
        for purchase in [purchase(), top_up()] {
            let intent = self.intent(&purchase, &customer).await;
            let confirmed = self.client.intent_confirm(&intent.id, &purchase).await.unwrap();
            let Reply::Refused(refusal) = confirmed else { panic!("{confirmed:?}") };
            assert_eq!(refusal.code.as_deref(), Some("card_declined"));
            let declined = self.read(&intent.id).await;
            assert_eq!(declined.status, IntentStatus::RequiresPaymentMethod);
            let error = declined.last_payment_error.unwrap();
            assert_eq!(error.code.as_deref(), Some("card_declined"));
        }
        step("a declined card has a code");
    }

    async fn is_asked_for_a_step(&self) {
        let (purchase, customer) = (purchase(), self.customer("4000002500003155").await);
        let intent = self.intent(&purchase, &customer).await;
        let confirmed = self.client.intent_confirm(&intent.id, &purchase).await.unwrap();
        let Reply::Accepted(confirmed) = confirmed else { panic!("{confirmed:?}") };
        assert_eq!(confirmed.status, IntentStatus::RequiresAction);
        assert!(confirmed.next_action.unwrap().redirect_to_url.is_none(), "a step in JavaScript");
        step("a card can require a step");
    }

    async fn cancels(&self) {
        let (purchase, customer) = (purchase(), self.customer("4242424242424242").await);
        let intent = self.intent(&purchase, &customer).await;
        let cancelled = self.client.intent_cancel(&intent.id).await.unwrap();
        assert!(matches!(cancelled, Reply::Accepted(_)), "{cancelled:?}");
        assert_eq!(self.read(&intent.id).await.status, IntentStatus::Canceled);
        let confirmed = self.client.intent_confirm(&intent.id, &purchase).await.unwrap();
        assert!(matches!(confirmed, Reply::Refused(_)), "{confirmed:?}");
        step("a cancelled payment cannot be confirmed");
    }
}

fn step(text: &str) {
    println!("ok: {text}");
}

async fn receive(
    State(messages): State<UnboundedSender<Message>>,
    headers: HeaderMap,
    body: Bytes,
) {
    let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
    messages.send((signature, body)).unwrap();
}

/// Starts a receiver and registers it. Only these messages are posted to it.
async fn receiver(server: &Server) -> UnboundedReceiver<Message> {
    let (messages, received) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let routes = Router::new().route("/", post(receive)).with_state(messages);
    tokio::spawn(axum::serve(listener, routes).into_future());
    let fields =
        [("url", &*url), ("secret", WEBHOOK_SECRET), ("events[]", "payment_intent.succeeded")];
    server.post("/_config/webhooks/ours", &fields).await;
    received
}

/// The message that a payment has succeeded is signed in the way that the function verifies.
async fn is_told(received: &mut UnboundedReceiver<Message>, id: &ProviderId) {
    let (header, body) = timeout(Duration::from_secs(20), received.recv()).await.unwrap().unwrap();
    let now = Clock::system().now().timestamp().as_second();
    let is_signed_by =
        |secret: &str, body: &[u8]| is_signed(&header, body, &[secret.to_owned()], now);
    assert!(is_signed_by(WEBHOOK_SECRET, &body), "{header}");
    assert!(!is_signed_by("whsec_other", &body), "{header}");
    assert!(!is_signed_by(WEBHOOK_SECRET, &body[1..]), "{header}");
    let message: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(message["type"], "payment_intent.succeeded");
    assert_eq!(message["data"]["object"]["id"], id.as_str());
    step("the signature of a message is verified");
}

#[tokio::test]
async fn the_client_works_with_localstripe() {
    let server = Server::from_env();
    let mut received = receiver(&server).await;
    server.stores_a_card().await;
    let paid = server.takes_money().await;
    is_told(&mut received, &paid).await;
    server.refunds_money(&paid).await;
    server.is_declined().await;
    server.is_asked_for_a_step().await;
    server.cancels().await;
}
