// node client.mjs PROXY AUTHORIZATION|"" CA PLAIN_URL SECURE_HOST:PORT — a line for each way that works: its name and status.
import fs from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";

const [proxyUrl, authorization, caFile, plainUrl, secure] = process.argv.slice(2);
const proxy = new URL(proxyUrl);
const ca = fs.readFileSync(caFile);
const headers = authorization ? { "proxy-authorization": authorization } : {};
// By default Node looks for the name in the Host header, which is the application's.
const servername = net.isIP(proxy.hostname) ? "" : proxy.hostname;
const options = { host: proxy.hostname, port: proxy.port || 443, ca, headers, servername };
const toProxy = proxy.protocol === "https:" ? https : http;
const [host] = secure.split(":");

const answer = (request) =>
  new Promise((resolve, reject) => {
    request.on("response", (response) => response.resume().on("end", () => resolve(response.statusCode)));
    request.on("error", reject);
    request.end();
  });

const over = (socket) => {
  const inner = tls.connect({ socket, ca, servername: host });
  return answer(https.request({ host, path: "/", headers: { host: secure }, createConnection: () => inner }));
};

const plain = { ...options, path: plainUrl, headers: { ...headers, host: new URL(plainUrl).host } };
console.log("plain", await answer(toProxy.request(plain)));

const tunnel = await new Promise((resolve, reject) => {
  const request = toProxy.request({ ...options, method: "CONNECT", path: secure });
  request.on("connect", (response, socket) => resolve(socket));
  request.on("error", reject);
  request.end();
});
console.log("connect", await over(tunnel));

if (proxy.protocol === "https:") {
  const session = http2.connect(proxyUrl, { ca });
  const stream = session.request({ ":method": "CONNECT", ":authority": secure, ...headers });
  await new Promise((resolve, reject) => stream.on("response", resolve).on("error", reject));
  console.log("http2", await over(stream));
}
process.exit(0);
