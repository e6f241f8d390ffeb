// Purchases as a user makes them, in Chromium: a first purchase on the payment page, a step of the bank, and a card that is
// stored without a purchase. With SCREENSHOTS=DIRECTORY it writes the screenshots `checkout.png` and `step.png`.

import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";

const { URL: api, SCREENSHOTS } = process.env;
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});
const page = await browser.newPage({ viewport: { width: 800, height: 600 } });
page.setDefaultTimeout(15_000);
const errors = [];
page.on("console", (message) => errors.push(message.text()));
page.on("pageerror", (error) => errors.push(error.message));
page.on("response", (answer) => answer.ok() || answer.status() === 303 || errors.push(`${answer.status()} ${answer.url()}`));

const picture = async (name) => {
  if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, name) });
};

async function send(method, path, token, body, key) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  if (key) headers["idempotency-key"] = key;
  const answer = await fetch(`${api}${path}`, { method, headers, body: body && JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}

const token = async (claims) => (await send("POST", "/dev/tokens", null, claims)).body.token;

// A new team, its admin and its requests.
async function open(team) {
  const billing = await token({ sub: "billing", scope: "credits:manage" });
  const plan = { plan: "enterprise", included_credits: 0 };
  assert.equal((await send("PUT", `/teams/${team}/subscription`, billing, plan)).status, 200);
  const admin = await token({ sub: "ada", team, role: "admin" });
  return {
    buy: (credits, key) => send("POST", `/teams/${team}/purchases`, admin, { credits }, key),
    purchased: async () => (await send("GET", `/teams/${team}/credits`, admin)).body.credits.purchased,
    purchase: async (id) => (await send("GET", `/teams/${team}/purchases/${id}`, admin)).body.purchase,
    card: async () => (await send("GET", `/teams/${team}/payment-method`, admin)).body.card,
    cardPage: () => send("POST", `/teams/${team}/payment-method`, admin),
  };
}

const press = (name) => page.getByRole("button", { name, exact: true }).click();
const enter = (number) => page.getByLabel("Card number").fill(number);
const reads = (text) => page.getByText(text).waitFor();

// A first purchase: a declined card, a step that is refused, and a card that pays.
const team = `nocard_${Date.now()}`;
const first = await open(team);
{
  const { status, body } = await first.buy(5000, "order_1");
  assert.equal(status, 202, JSON.stringify(body));
  const { id, next_action } = body.purchase;
  assert.equal(next_action.type, "redirect");
  await page.goto(next_action.url);
  await reads("50.00 USD");
  await picture("checkout.png");
  await enter("4000 0000 0000 9995");
  await press("Pay");
  await page.getByRole("alert").getByText("insufficient funds").waitFor();
  await press("Use a card that is declined");
  await page.getByRole("alert").getByText("Your card was declined.").waitFor();

  await enter("4000 0025 0000 3155");
  await press("Pay");
  await reads("The bank asks you to confirm.");
  await picture("step.png");
  await press("Refuse");
  await page.getByRole("alert").getByText("unable to authenticate").waitFor();
  assert.equal(await first.purchased(), 0);
  assert.equal((await first.purchase(id)).status, "pending");

  await enter("4242 4242 4242 4242");
  await press("Pay");
  await reads(`Team ${team} has bought 5000 credits for 50.00 USD.`);
  assert.equal(page.url(), `${api}/dev/pay?purchase=${id}`);
  assert.equal(await first.purchased(), 5000);
  const paid = await first.purchase(id);
  assert.equal(paid.status, "paid");
  await page.getByRole("link", { name: "Receipt" }).click();
  assert.equal(page.url(), paid.receipt_url);
  await reads("This payment is complete.");
  await page.goto(next_action.url);
  await reads("This payment is complete.");
  assert.equal(await page.getByRole("button").count(), 0);
  assert.equal((await first.buy(300, "order_2")).status, 201, "the card is stored");
}

// The bank asks for a step for the stored card. The customer leaves the page and comes back.
{
  const { status, body } = await first.buy(202, "order_3");
  assert.equal(status, 202, JSON.stringify(body));
  await page.goto(body.purchase.next_action.url);
  await reads("2.02 USD");
  await press("Confirm");
  await reads(`Team ${team} has bought 202 credits for 2.02 USD.`);
  assert.equal(await first.purchased(), 5502);
  const refused = (await first.buy(202, "order_4")).body.purchase;
  await page.goto(refused.next_action.url);
  await press("Refuse");
  await reads("the card holder did not confirm the payment with the bank");
  assert.equal((await first.purchase(refused.id)).status, "failed");
  assert.equal(await first.purchased(), 5502);
}

// A card is stored without a purchase, and changed.
{
  const other = await open(`${team}_b`);
  const left = (await other.buy(700, "order_1")).body.purchase;
  await page.goto(left.next_action.url);
  await press("Leave");
  await reads("The payment of 700 credits for 7.00 USD is not complete.");
  assert.equal(await other.card(), null);
  for (const [number, last4] of [["4242 4242 4242 4242", "4242"], ["5555 5555 5555 4444", "4444"]]) {
    const { status, body } = await other.cardPage();
    assert.equal(status, 201, JSON.stringify(body));
    await page.goto(body.url);
    await reads("The card for later payments");
    await enter(number);
    await press("Save the card");
    await reads("You are back from the page for the card.");
    assert.equal((await other.card()).last4, last4);
  }
  assert.equal((await other.buy(300, "order_2")).status, 201);
  assert.equal(await other.purchased(), 300);
}

assert.deepEqual(errors, []);
await browser.close();
console.log("Chromium: a purchase on the payment page, a step of the bank, and a stored card");
