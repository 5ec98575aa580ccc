// What all pages share: calls of the server, problems that are shown, who labels, and the job that is going on.

const problem = document.getElementById("problem");
const AWAY = "Failed to fetch";
const GONE = "The program does not answer: start cellda app again, with the same folder. Everything that was saved is still there.";

export function complain(text) {
  problem.textContent = text;
  problem.hidden = !text;
}

async function answered(response) {
  const found = await response.json().catch(() => ({}));
  if (!response.ok) {
    const said = response.status === 403 ? "Open the address that cellda app has printed." : `The server answered ${response.status}.`;
    const detail = typeof found.detail === "string" ? found.detail : said;
    throw Object.assign(new Error(detail), { status: response.status });
  }
  return found;
}

// What this page shows: a call of a page that shows another folder is refused.
const project = document.documentElement.dataset.project;
const named = project ? { "x-cellda-project": project } : {};

export function picture(kind, cell) {
  return `/picture/${kind}/${cell}?project=${project}`;
}

export async function get(path) {
  return answered(await fetch(path, { headers: named }));
}

export async function post(path, body) {
  const plain = body instanceof FormData, text = plain ? "" : JSON.stringify(body ?? {});
  return answered(await fetch(path, {
    method: "POST",
    keepalive: !plain && text.length < 60000, // it arrives though the page is gone; browsers refuse more
    body: plain ? body : text,
    headers: plain ? named : { ...named, "content-type": "application/json" },
  }));
}

// Runs what a button asks for, and shows why it failed.
export async function attempt(work) {
  try {
    complain("");
    return await work();
  } catch (error) {
    complain(error.message === AWAY ? GONE : error.message);
    return undefined;
  }
}

export function on(id, event, work) {
  const found = document.getElementById(id);
  found?.addEventListener(event, (happened) => {
    if (event === "submit") happened.preventDefault();
    attempt(() => work(happened));
  });
}

on("person-form", "submit", async () => {
  await post("/api/person", { person: document.getElementById("person").value });
  location.reload();
});
document.getElementById("person")?.addEventListener("change", (happened) => happened.target.form.requestSubmit());

const KINDS = { suggest: "Choosing cells", adapt: "Adapting", predict: "Predicting", report: "Writing the report" };

export function told(job) {
  const part = job.total ? `${job.done} of ${job.total}` : `${job.done}`;
  return `${KINDS[job.kind]}: ${job.doing || "starting"}${job.done ? `, ${part}` : ""}. ${duration(job.seconds)}`;
}

export function duration(seconds) {
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

// Follows the job until it ends; `each` sees every state.
export async function follow(each) {
  for (;;) {
    let found;
    try {
      found = await get("/api/job");
    } catch (error) {
      if (error.message !== AWAY) throw error;
      complain(GONE); // this page waits, and goes on
      await new Promise((done) => setTimeout(done, 1000));
      continue;
    }
    const { job } = found;
    if (problem.textContent === GONE) complain("");
    if (!job) return null;
    each(job);
    if (!job.running) return job;
    await new Promise((done) => setTimeout(done, 500));
  }
}

export async function begin(kind, options = {}) {
  return (await post("/api/jobs", { kind, ...options })).job;
}

export function ended(job) {
  if (job.stage === "done") return;
  const why = job.said.at(-1) ?? "";
  complain({
    cancelled: "Cancelled. What was finished is kept: begun again, it goes on from there.",
    interrupted: why,
    failed: why,
  }[job.stage] ?? why);
}

// A line on every page while a job is going on.
const line = document.getElementById("job-line");
get("/api/job").then(({ job }) => {
  if (!job?.running) return;
  line.hidden = false;
  follow((now) => { line.textContent = told(now); }).then((last) => {
    line.textContent = last?.stage === "done" ? `${KINDS[last.kind]}: done.` : "";
    line.hidden = !line.textContent;
    if (last) ended(last);
  });
}).catch(() => {});
