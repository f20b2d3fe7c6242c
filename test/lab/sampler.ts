/** Every command line and environment that a host's processes have while something is done there. */
import { inHost, sh, VALUES } from './support.ts';

const SAMPLE = '/run/sample';

const SAMPLER = `
import glob, time
seen = set()
out = open("${SAMPLE}", "wb")
while True:
    for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
        try:
            data = open(path, "rb").read()
        except OSError:
            continue
        if data and data not in seen:
            seen.add(data)
            out.write(data + b"\\n")
            out.flush()
    time.sleep(0.03)
`;

/** Collects them on a host while `work` runs. */
export async function sampled(host: string, work: () => Promise<unknown>): Promise<void> {
  await inHost(host, ['systemd-run', '--quiet', '--unit=sampler', 'python3', '-c', SAMPLER]);
  try {
    await work();
  } finally {
    await sh(host, 'systemctl stop sampler');
  }
}

/** How many lines of the sample hold a word. */
export async function samplesWith(host: string, word: string): Promise<number> {
  return counted(host, ['-e', word]);
}

/** How many lines of the sample hold one of the rehearsal's secrets. */
export async function samplesWithSecret(host: string, secret: string): Promise<number> {
  return counted(host, ['-f', `${VALUES}/${secret}`]);
}

/** How many lines of the sample match an extended regular expression. */
export async function samplesMatching(host: string, expression: string): Promise<number> {
  return counted(host, ['-e', expression], 'E');
}

async function counted(host: string, pattern: readonly string[], kind = 'F'): Promise<number> {
  const { stdout } = await inHost(host, ['grep', `-ac${kind}`, ...pattern, SAMPLE], { accept: [0, 1] });
  return Number(stdout);
}
