// Requests of pages of other origins, and the reference page, in Chromium. With SCREENSHOT=FILE it writes a
// screenshot of the reference page.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { chromium } from "playwright-core";

const { URL: api, MEMBER, ADMIN, PAGE_PORT, SCREENSHOT } = process.env;
const charges = `${api}/teams/demo/charges`;
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});

// Opens the page of an origin. `send` is its function `fetch`; `asked` also waits for the preflight of the method.
async function open(origin) {
  const page = await browser.newPage();
  const preflights = new EventEmitter();
  const network = await page.context().newCDPSession(page);
  await network.send("Network.enable");
  network.on("Network.requestWillBeSent", ({ request }) => {
    if (request.method === "OPTIONS") preflights.emit(request.headers["Access-Control-Request-Method"]);
  });
  await page.goto(`${origin}/page.html`);
  const send = (url, options) =>
    page.evaluate(
      async ([url, options]) => {
        const answer = await fetch(url, options);
        const headers = Object.fromEntries(answer.headers);
        return { status: answer.status, headers, text: await answer.text() };
      },
      [url, options],
    );
  const asked = async (url, options) => {
    const preflight = once(preflights, options.method, { signal: AbortSignal.timeout(30_000) });
    const [answer] = await Promise.allSettled([send(url, options), preflight]);
    await preflight;
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  };
  return { send, asked };
}

const charge = (key) => ({
  method: "POST",
  headers: { authorization: `Bearer ${MEMBER}`, "content-type": "application/json", "idempotency-key": key },
  body: JSON.stringify({ action: "email_finder", outcome: "deliverable" }),
});

// The allowed origin.
{
  const { send, asked } = await open(`http://127.0.0.1:${PAGE_PORT}`);
  const first = await asked(charges, charge("browser"));
  assert.equal(first.status, 201, first.text);
  assert(first.headers["x-request-id"]);
  const replay = await send(charges, charge("browser"));
  assert.equal(replay.status, 200);
  assert.equal(replay.headers["idempotent-replayed"], "true");
  assert.equal(replay.text, first.text);

  const prices = await send(`${api}/prices`);
  const known = { method: "GET", headers: { "if-none-match": prices.headers.etag } };
  assert.equal((await asked(`${api}/prices`, known)).status, 304);
  const unknown = await send(`${api}/teams/demo/credits`);
  assert.equal(unknown.status, 401);
  assert.equal(unknown.headers["www-authenticate"], "Bearer");

  const headers = { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" };
  const settings = { method: "PATCH", headers, body: JSON.stringify({ low_balance_threshold: 50 }) };
  assert.equal((await asked(`${api}/teams/demo/settings`, settings)).status, 200);
  const account = `${api}/teams/demo/monitored-accounts/acme.example`;
  assert.equal((await asked(account, { method: "PUT", headers })).status, 200);
  // The preflight of PUT is cached, and permits every method.
  assert.equal((await send(account, { method: "DELETE", headers })).status, 200);
}

// Another origin: the browser refuses the request, and nothing is charged.
{
  const { send, asked } = await open(`http://localhost:${PAGE_PORT}`);
  await assert.rejects(asked(charges, charge("refused")), /Failed to fetch/);
  await assert.rejects(send(`${api}/prices`), /Failed to fetch/);
  const options = { headers: { authorization: `Bearer ${MEMBER}` } };
  const history = await fetch(`${api}/teams/demo/history?key=refused`, options);
  assert.deepEqual((await history.json()).entries, []);
}

// The reference page has no errors and loads nothing else.
{
  const page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
  const errors = [];
  const requests = [];
  page.on("console", (message) => errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(`${api}/docs`);
  assert.equal(await page.title(), "Credits API");
  assert.deepEqual(errors, []);
  assert.deepEqual(requests, [`${api}/docs`]);
  if (SCREENSHOT) await page.screenshot({ path: SCREENSHOT });
}

await browser.close();
console.log("Chromium: an allowed origin, another one, and the reference page");
