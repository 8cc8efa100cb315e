// nodemailer's pooled transport: sends letters that come as JSON on standard input, and prints what they cost.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.NODE_FOLDER}/`);
const nodemailer = require("nodemailer");
const { port, connections, warm, letters, author } = JSON.parse(readFileSync(0, "utf8"));

const transport = nodemailer.createTransport({
  host: "127.0.0.1", port, secure: false, ignoreTLS: true, pool: true, maxConnections: connections, maxMessages: Infinity,
});
const mail = (letter) => ({
  from: author,
  to: letter.to.map(([name, address]) => ({ name, address })),
  subject: letter.subject,
  text: letter.text,
  html: letter.html,
  attachments: letter.path ? [{ filename: "report.bin", path: letter.path }] : [],
});
const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
const { writeFileSync } = await import("node:fs");

for (const letter of warm) await transport.sendMail(mail(letter));

let before = 0;
if (process.platform === "linux") {
  writeFileSync("/proc/self/clear_refs", "5"); // the peak is counted anew from here
  before = peak();
}
let longest = 0;
let last = performance.now();
const ticker = setInterval(() => {
  const now = performance.now();
  longest = Math.max(longest, now - last);
  last = now;
}, 1);

const cpu = process.cpuUsage();
const started = performance.now();
// As many at once as there are connections: what is built ahead of that waits in memory.
let next = 0;
const worker = async () => {
  while (next < letters.length) await transport.sendMail(mail(letters[next++]));
};
await Promise.all(Array.from({ length: connections }, worker));
const wall = (performance.now() - started) / 1e3;
const used = process.cpuUsage(cpu);
clearInterval(ticker);
transport.close();
console.log(
  JSON.stringify({
    version: require("nodemailer/package.json").version,
    cpu: (used.user + used.system) / 1e6 / letters.length,
    wall: wall / letters.length,
    longest: Math.max(longest, performance.now() - last) / 1e3,
    grown: before ? peak() - before : 0,
  }),
);
