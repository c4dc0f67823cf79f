// Opens a page with one <video> in Debian's Chromium, lets it play, and prints
// what came of it as JSON. Whether that is good is for the caller to say.
//
//   usage: node play.mjs [--enough=SECONDS] ADDRESS [SCREENSHOT.png]
//
// A page says that it gave up by window.fatal or a visible role="alert"; the watch
// ends then, or when enough was played, or when time is up.
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const PATIENCE_MS = 90_000;
const MEDIA = /\.(ts|m4s|mp4)(\?|$)/;

const { values, positionals: [address, screenshot] } = parseArgs({
  allowPositionals: true,
  options: { enough: { type: 'string', default: '12' } }, // seconds of media
});
const enough = Number(values.enough);
const result = { console: [], failed: [], segments: 0 };

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  observe(page);
  await page.goto(address);
  await watch(page);
  if (screenshot) await page.screenshot({ path: screenshot });
} finally {
  await browser.close();
}
console.log(JSON.stringify(result));

// observe notes what the page complains of and which media it gets.
function observe(page) {
  const segments = new Set();
  page.on('console', (m) => { if (m.type() === 'error') result.console.push(m.text()); });
  page.on('pageerror', (e) => result.console.push(String(e)));
  page.on('requestfailed', (r) => result.failed.push(`${r.url()} ${r.failure()?.errorText}`));
  page.on('response', (r) => {
    if (r.ok() && MEDIA.test(r.url())) result.segments = segments.add(r.url()).size;
  });
}

// watch looks at the video until enough of it was played.
async function watch(page) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await page.waitForTimeout(250)) {
    Object.assign(result, await page.evaluate(look));
    if (result.fatal || result.error || result.played >= enough) return;
  }
}

// look runs in the page. A seek begins the count anew: what was skipped over
// was not played.
function look() {
  const video = document.querySelector('video');
  const alert = Array.from(document.querySelectorAll('[role=alert]')).find((e) => e.checkVisibility());
  if (window.playedFrom === undefined) {
    const begin = () => { window.playedFrom = video.currentTime; };
    video.addEventListener('seeking', begin);
    begin();
  }
  return {
    fatal: window.fatal ?? alert?.innerText ?? '',
    error: video.error?.message ?? '',
    start: window.playedFrom,
    time: video.currentTime,
    played: video.seeking || video.played.length === 0 ? 0 : video.currentTime - window.playedFrom,
    width: video.videoWidth,
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
    paused: video.paused,
  };
}
