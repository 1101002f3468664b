/** The processes of a benchmark: children that speak in lines, and what memory they take (Linux). */

/** A child that speaks in lines. */
export class Child {
  readonly #process: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  #text = "";

  constructor(script: string, env: Record<string, string> = {}, flags: string[] = []) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", ...flags, new URL(script, import.meta.url).href],
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#output = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#input = this.#process.stdin.getWriter();
  }

  get pid(): number {
    return this.#process.pid;
  }

  async write(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(line + "\n"));
  }

  async read(): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#output.read();
      if (done) throw new Error("A child of the benchmark ended too early.");
      this.#text += value;
    }
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return line;
  }

  async close(): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#process.status;
  }
}

/** A line of `/proc/PID/status` or `smaps_rollup`, in MB (10⁶ bytes). */
export async function memory(pid: number, file: string, name: string): Promise<number> {
  const text = await Deno.readTextFile(`/proc/${pid}/${file}`);
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)![1]) * 1024 / 1e6;
}

/** Resident memory, in MB. */
export const resident = (pid: number) => memory(pid, "status", "VmRSS");

/** Ids of the processes that a process started. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => "");
  const direct = text.split(" ").filter((each) => each !== "").map(Number);
  if (direct.length > 0) return direct;
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const status = await Deno.readTextFile(`/proc/${name}/status`).catch(() => "");
    if (new RegExp(`^PPid:\\s+${pid}$`, "m").test(status)) found.push(Number(name));
  }
  return found;
}

/** Processor time of a process so far, and of its children that have ended, in milliseconds: ticks of 10 ms (proc(5)). */
async function cpuTimes(pid: number): Promise<{ own: number; ended: number }> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  if (stat === "") return { own: 0, ended: 0 }; // it has ended
  const times = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 15).map(Number);
  return { own: (times[0] + times[1]) * 10, ended: (times[2] + times[3]) * 10 };
}

/** Processor time of a process so far, in milliseconds. */
export const cpuOf = async (pid: number): Promise<number> => (await cpuTimes(pid)).own;

/** Processor time of all its children so far, in milliseconds. */
export const cpuOfChildren = async (pid: number): Promise<number> =>
  (await cpuTimes(pid)).ended + await sum(await childrenOf(pid), cpuOf);

/** Time in which processors did nothing, since the system began, of all of them in milliseconds. */
export async function idleTime(): Promise<number> {
  const [, , , , idle, waiting] = (await Deno.readTextFile("/proc/stat")).split(/\s+/, 6);
  return (Number(idle) + Number(waiting)) * 10;
}

/** Adds up a quantity of several processes. */
export async function sum(pids: number[], each: (pid: number) => Promise<number>): Promise<number> {
  return (await Promise.all(pids.map(each))).reduce((total, value) => total + value, 0);
}
