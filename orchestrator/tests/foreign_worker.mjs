// A worker that knows nothing of ipai but the functions in schema connectors. It speaks to Postgres through psql, as
// service_role, and "syncs" stream after stream by writing [stream, number] into the destination's file.
//
// node foreign_worker.mjs URL NAME [hang STREAM NUMBER]      hang: stay there for ever, with the lease running out

import { execFileSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const [url, name, , hangStream, hangNumber] = process.argv.slice(2);
const literal = (value) => (typeof value === "number" ? String(value) : `'${String(value).replaceAll("'", "''")}'`);

function call(rpc, values) {
  const named = Object.entries(values).map(([key, value]) => `${key} => ${literal(value)}`);
  const statement = `select connectors.${rpc}(${named.join(", ")})`;
  const said = execFileSync("psql", ["-XqAt", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-d", url, "-c", "set role service_role", "-c", statement], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  return said.trim() ? JSON.parse(said) : null;
}

async function sync(job) {
  const mine = { run_id: job.run_id, fencing_token: job.fencing_token };
  const config = job.spec.source.config;
  const metrics = [];
  const state = { bookmarks: {}, ...job.state };
  for (const stream of job.streams ?? Object.keys(config.streams)) {
    let rows = 0;
    for (let id = (state.bookmarks[stream]?.id ?? 0) + 1; id <= config.streams[stream]; id++) {
      if (stream === hangStream && id > Number(hangNumber)) await sleep(3_600_000);
      appendFileSync(job.spec.destination.config.output, JSON.stringify([stream, id]) + "\n");
      state.bookmarks[stream] = { id };
      call("store_connector_state", { ...mine, state: JSON.stringify(state) });
      rows++;
    }
    metrics.push({ stream, rows });
    if (call("heartbeat_connector_job", mine).cancel_requested) {
      return call("fail_connector_job", { ...mine, error: '"asked to end"', kind: "cancelled" });
    }
  }
  return call("complete_connector_job", { ...mine, metrics: JSON.stringify(metrics) });
}

for (;;) {
  const job = call("claim_connector_job", { worker: name, queues: "{default}", lease_seconds: hangStream ? 2 : 30 });
  if (job) console.log(JSON.stringify(await sync(job)));
  else await sleep(50);
}
