// Charges, replays, holds, and reads the history by the types that openapi-typescript generates.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const { URL: baseUrl, MEMBER: token } = process.env;
assert(baseUrl && token);
const api = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${token}` } });
const path = { team: "demo" };
const keyed = (key: string) => ({ path, header: { "Idempotency-Key": key } });

// The price of an action.
const { data: list } = await api.GET("/prices");
const price = list?.prices.find(({ action }) => action === "email_finder")?.credits;
assert(price);

// A charge. The same request with the same key is a replay and costs nothing.
const lead = {
  params: keyed("typescript_lead"),
  body: { action: "email_finder", outcome: "deliverable", reference: "lead_42" },
};
const charged = await api.POST("/teams/{team}/charges", lead);
assert.equal(charged.response.status, 201);
assert.equal(charged.data?.charge.credits, price);
const replayed = await api.POST("/teams/{team}/charges", lead);
assert.equal(replayed.response.headers.get("Idempotent-Replayed"), "true");
assert.deepEqual(replayed.data, charged.data);

// A refusal is a problem document. Its type tells its fields.
const refused = await api.POST("/teams/{team}/holds", {
  params: keyed("typescript_large"),
  body: { credits: 1_000_000_000 },
});
assert(refused.error?.type === "/problems/insufficient-credits");
assert(refused.error.shortfall > 0);

// A hold, a capture from it, and the release of the rest.
const taken = await api.POST("/teams/{team}/holds", {
  params: keyed("typescript_job"),
  body: { actions: ["email_finder"], leads: 4 },
});
assert(taken.data);
const hold = taken.data.hold.id;
assert.equal(taken.data.hold.remaining, 4 * price);
const captured = await api.POST("/teams/{team}/charges", {
  params: keyed("typescript_capture"),
  body: { action: "email_finder", outcome: "risky", hold },
});
assert.equal(captured.data?.charge.hold, hold);
const { header } = keyed("typescript_release");
const released = await api.POST("/teams/{team}/holds/{hold}/release", {
  params: { path: { ...path, hold }, header },
});
assert.equal(released.data?.hold.status, "released");
assert.equal(released.data.hold.captured, price);

// The whole history, page by page. Only a CSV file would be a string.
const entries: components["schemas"]["Entry"][] = [];
let cursor: string | undefined;
do {
  const query = { limit: 2, cursor };
  const { data } = await api.GET("/teams/{team}/history", { params: { path, query } });
  assert(data && typeof data !== "string");
  entries.push(...data.entries);
  cursor = data.cursor ?? undefined;
} while (cursor);
const { data: balance } = await api.GET("/teams/{team}/credits", { params: { path } });
const sum = entries.reduce((sum, entry) => sum + entry.credits, 0);
assert.equal(sum, balance && balance.credits.total + balance.credits.held);
console.log(`TypeScript: ${entries.length} entries, ${sum} credits`);
