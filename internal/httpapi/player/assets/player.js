// The player page: plays the HLS playlist that ?src= names and says how it goes.
//
// Text from outside (the address, a server's answer) reaches the page only by
// textContent and input.value, never as HTML.
'use strict';

const el = (id) => document.getElementById(id);
const video = el('video');

const RETRY_SECONDS = 3;
const BEHIND_SECONDS = 15; // further behind the usual distance from live than this is worth a word
const DROPPED_WORTH_A_WORD = 0.01; // of all frames
const TRACE_SAMPLES = 120; // two a second

// session is what belongs to one source that is being played, or null.
let session = null;

// --- Source ---------------------------------------------------------------

// parseSource takes an http(s) URL or a path on this server, and nothing else.
function parseSource(text) {
  text = text.trim();
  if (!/^(https?:\/\/|\/(?!\/))/i.test(text)) return null;
  try {
    const url = new URL(text, location.origin);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url : null;
  } catch {
    return null;
  }
}

function openFromAddress() {
  const text = new URLSearchParams(location.search).get('src') || '';
  el('source').value = text;
  if (text) open(text);
  else close();
}

function open(text) {
  close();
  const url = parseSource(text);
  el('empty').hidden = true;
  session = { url, hls: null, stalls: 0, stalledMs: 0, stalledSince: 0, played: false, recovered: 0, segment: '', trace: [], retry: 0, failed: false };
  if (!url) {
    fail({ title: 'This is not an address that can be played', text: 'Give the http or https address of an HLS playlist, or the path of one on this server. It usually ends in .m3u8.' });
    return;
  }
  start();
}

// start begins, or tries again; what was wrong stays on the screen until it is
// known to be well.
function start() {
  clearInterval(session.retry);
  show('countdown', session.failed ? 'trying…' : '');
  if (window.Hls && Hls.isSupported()) startHls();
  else if (video.canPlayType('application/vnd.apple.mpegurl')) video.src = session.url.href;
  else fail({ title: 'This browser cannot play HLS', text: 'It has neither Media Source Extensions nor a player for HLS of its own.' });
  video.play().catch(() => {}); // a browser that refuses leaves the play button to the viewer
}

function startHls() {
  const hls = new Hls({ backBufferLength: 30 });
  session.hls = hls;
  hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) onFatal(hls, data); });
  hls.on(Hls.Events.FRAG_CHANGED, (_, { frag }) => { if (session && frag.type === 'main') session.segment = segmentText(frag); });
  hls.loadSource(session.url.href);
  hls.attachMedia(video);
}

function segmentText(frag) {
  const name = (frag.relurl || '').split('?')[0].split('/').pop();
  return `${name || frag.sn} · ${frag.duration.toFixed(2)}\u00a0s`;
}

function stop() {
  if (session?.hls) session.hls.destroy();
  if (session) session.hls = null;
  video.removeAttribute('src');
  video.load();
}

function close() {
  if (session) clearInterval(session.retry);
  stop();
  session = null;
  el('trouble').hidden = true;
  el('empty').hidden = false;
}

// --- Trouble --------------------------------------------------------------

function onFatal(hls, data) {
  if (!session || session.hls !== hls) return;
  if (data.type === Hls.ErrorTypes.MEDIA_ERROR && session.recovered < 2) {
    session.recovered++;
    hls.recoverMediaError();
    return;
  }
  const detail = [data.details, data.url || data.frag?.url, data.error?.message].filter(Boolean).join(' · ');
  const current = session;
  explain(data).then((words) => { if (session === current && session.hls === hls) fail({ ...words, detail }); });
}

// explain says in words what is wrong and what to do about it.
async function explain(data) {
  if (data.type !== Hls.ErrorTypes.NETWORK_ERROR) return explainMedia(data);
  if (data.details === 'manifestParsingError' || data.details === 'levelParsingError') {
    return { title: 'This is not an HLS playlist', text: 'The server answered, but what it sent is not a playlist that can be read. Is this the address of the .m3u8 file?' };
  }
  const code = data.response?.code || 0;
  if (code) return explainStatus(code);
  return explainSilence(data.url || session.url.href);
}

function explainStatus(code) {
  if (code === 401 || code === 403) {
    return { title: `Access denied (${code})`, text: 'The container policy does not let everyone read this. Allow mediastore:GetObject for Principal "*" on the path, or use an address that carries a signature.', again: true };
  }
  if (code === 404 || code === 410) {
    return { title: `Nothing is published here (${code})`, text: 'There is no object at this path. Check its spelling; if the channel has not begun yet, the player starts when it does.', again: true };
  }
  if (code === 429 || code === 503) {
    return { title: `The server is busy (${code})`, text: 'It refuses requests for the moment.', again: true };
  }
  if (code >= 500) {
    return { title: `The server failed (${code})`, text: 'Its log says why.', again: true };
  }
  return { title: `The server answered ${code}`, text: 'It does not give the playlist or its segments.', again: true };
}

// explainSilence tells apart why a browser shows no answer: a request without
// CORS succeeds if and only if the server is there.
async function explainSilence(address) {
  const url = new URL(address, session.url);
  if (location.protocol === 'https:' && url.protocol === 'http:') {
    return { title: 'The browser refuses mixed content', text: 'This page came over https, and the stream is plain http. Open the player over http, or the stream over https.' };
  }
  try {
    await fetch(url.href, { mode: 'no-cors', cache: 'no-store', credentials: 'omit' });
  } catch {
    return { title: 'The server does not answer', text: `Nothing could be fetched from ${url.host}. Is it running, and can this machine reach it?`, again: true };
  }
  return { title: 'Cross-origin access is not allowed', text: `The server answers, but the browser may not show it to ${location.origin}. Put a CORS policy on the container that allows this origin to GET and HEAD.`, again: true };
}

function explainMedia(data) {
  if (/codec/i.test(data.details)) {
    return { title: 'This browser cannot play these codecs', text: 'The playlist names codecs that it does not support.' };
  }
  return { title: 'The media cannot be played', text: 'The segments were fetched, but the browser cannot decode them. They may be damaged, or not be what the playlist says.' };
}

// fail shows what is wrong, and tries again by itself when that can help.
function fail({ title, text, detail = '', again = false }) {
  stop();
  session.failed = true;
  show('trouble-title', title);
  show('trouble-text', text);
  show('trouble-detail', detail);
  show('countdown', '');
  el('retry').hidden = !session.url;
  el('trouble').hidden = false;
  if (again) retryLater();
}

function retryLater() {
  let left = RETRY_SECONDS;
  const say = () => show('countdown', `or by itself in ${left} s`);
  say();
  clearInterval(session.retry);
  session.retry = setInterval(() => { if (--left > 0) say(); else start(); }, 1000);
}

function recover() {
  if (!session) return;
  session.failed = false;
  el('trouble').hidden = true;
}

// --- Playback -------------------------------------------------------------

function goLive() {
  if (!session) return;
  const hls = session.hls;
  const edge = hls ? hls.liveSyncPosition : seekableEnd();
  if (edge) video.currentTime = edge;
  video.play().catch(() => {});
}

function seekableEnd() {
  return video.seekable.length ? video.seekable.end(video.seekable.length - 1) : 0;
}

function toggleSound() {
  video.muted = !video.muted;
}

function stallBegins() {
  if (session?.played && !video.paused && !video.seeking && !session.stalledSince) {
    session.stalls++;
    session.stalledSince = performance.now();
  }
}

function stallEnds() {
  if (!session) return;
  session.played = true;
  if (session.stalledSince) session.stalledMs += performance.now() - session.stalledSince;
  session.stalledSince = 0;
}

// --- Figures --------------------------------------------------------------

// programmeTime is the time of day at the playhead, as the playlist gives it.
function programmeTime() {
  if (session?.hls) return session.hls.playingDate;
  const start = video.getStartDate?.();
  return start && !isNaN(start) ? new Date(start.getTime() + video.currentTime * 1000) : null;
}

// latency is in seconds, or null. The time of day is the better measure, as it
// counts what encoder and server took too, but needs clocks that agree.
function latency() {
  if (!isLive()) return null;
  const date = programmeTime();
  const byClock = date ? (Date.now() - date) / 1000 : -1;
  if (byClock >= 0 && byClock < 3600) return { seconds: byClock, source: 'by the programme time (EXT-X-PROGRAM-DATE-TIME)' };
  const byPlaylist = session.hls ? session.hls.latency : seekableEnd() - video.currentTime;
  return byPlaylist > 0 ? { seconds: byPlaylist, source: 'by the end of the playlist' } : null;
}

function isLive() {
  if (!session || session.failed) return false;
  const details = session.hls?.latestLevelDetails ?? session.hls?.levels?.[session.hls.currentLevel]?.details;
  return details ? details.live : video.duration === Infinity;
}

function buffered() {
  for (let i = 0; i < video.buffered.length; i++) {
    const begin = video.buffered.start(i), end = video.buffered.end(i);
    if (begin - 0.1 <= video.currentTime && video.currentTime <= end) return end - video.currentTime;
  }
  return 0;
}

function behind() {
  const target = session.hls ? session.hls.liveSyncPosition : seekableEnd();
  return target ? target - video.currentTime : 0;
}

function playState() {
  if (!session) return ['idle', 'IDLE'];
  if (session.failed) return ['error', 'NO SIGNAL'];
  if (session.stalledSince) return ['wait', 'STALLED'];
  if (!session.played) return ['wait', 'OPENING'];
  if (video.paused) return ['idle', 'PAUSED'];
  if (!isLive()) return ['recorded', 'RECORDED'];
  return behind() > BEHIND_SECONDS ? ['behind', 'BEHIND LIVE'] : ['live', 'LIVE'];
}

const seconds = (s) => `${s.toFixed(1)} s`;
const bits = (b) => b >= 1e6 ? `${(b / 1e6).toFixed(2)} Mbit/s` : `${Math.round(b / 1e3)} kbit/s`;

function show(id, text) {
  if (el(id).textContent !== text) el(id).textContent = text;
}

function update() {
  const [state, word] = playState();
  el('badge').dataset.state = state;
  show('state', word);
  const on = Boolean(session && !session.failed);
  const late = on ? latency() : null;
  show('latency', late ? seconds(late.seconds) : '–');
  el('latency-caption').title = late ? `Measured ${late.source}` : '';
  show('buffer', on ? seconds(buffered()) : '–');
  show('clock', (on && programmeTime()?.toLocaleTimeString([], { hour12: false })) || '');
  updateDetails(on);
  updateTrace(on, late);
  el('sound').disabled = !on;
  show('sound', video.muted ? 'Sound on' : 'Sound off');
  el('live').disabled = !on || !isLive();
}

function updateDetails(on) {
  const hls = session?.hls;
  const level = hls?.levels?.[hls.currentLevel];
  const size = video.videoWidth ? `${video.videoWidth} × ${video.videoHeight}` : '–';
  const rate = level?.frameRate ? `, ${+level.frameRate.toFixed(2)} fps` : '';
  const choice = hls?.levels?.length > 1 && level ? ` (${hls.currentLevel + 1} of ${hls.levels.length})` : '';
  show('picture', on && size !== '–' ? size + rate + choice : '–');
  show('bitrate', on && level?.bitrate ? bits(level.bitrate) : '–');
  show('throughput', on && hls && session.played ? bits(hls.bandwidthEstimate) : '–');
  show('codecs', on && level ? [level.videoCodec, level.audioCodec].filter(Boolean).join(', ') || '–' : '–');
  show('segment', on && session.segment || '–');
  updateFaults(on);
}

function updateFaults(on) {
  const frames = video.getVideoPlaybackQuality?.();
  const dropped = frames?.droppedVideoFrames / frames?.totalVideoFrames > DROPPED_WORTH_A_WORD;
  fault('dropped', on && frames?.totalVideoFrames, dropped, () => `${frames.droppedVideoFrames} of ${frames.totalVideoFrames}`);
  fault('stalls', on && session.played, session?.stalls > 0, () => session.stalls ? `${session.stalls}, ${seconds(session.stalledMs / 1000)} in all` : 'none');
}

function fault(id, known, bad, text) {
  show(id, known ? text() : '–');
  el(id).className = !known ? '' : bad ? 'bad' : 'good';
}

function updateTrace(on, late) {
  const trace = session?.trace ?? [];
  if (on && session.played) trace.push([late?.seconds ?? 0, buffered()]);
  if (trace.length > TRACE_SAMPLES) trace.shift();
  const top = 1.15 * Math.max(10, ...trace.flat());
  const line = (k) => trace.map((sample, i) => `${TRACE_SAMPLES - trace.length + i + 1},${(40 * (1 - sample[k] / top)).toFixed(2)}`).join(' ');
  el('trace-latency').setAttribute('points', line(0));
  el('trace-buffer').setAttribute('points', line(1));
}

// --- Controls -------------------------------------------------------------

async function copyAddress() {
  const url = parseSource(el('source').value);
  const text = url ? url.href : el('source').value;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // pages over plain http have no clipboard
    el('source').select();
    document.execCommand('copy');
  }
  el('copy').textContent = 'Copied';
  setTimeout(() => { el('copy').textContent = 'Copy'; }, 1500);
}

const keys = {
  ' ': () => { if (video.paused) video.play().catch(() => {}); else video.pause(); },
  m: toggleSound,
  l: goLive,
  f: () => { if (document.fullscreenElement) document.exitFullscreen(); else video.requestFullscreen?.(); },
};

function onKey(event) {
  const own = event.target.closest('input, button, a, video'); // these have keys of their own
  if (own || event.ctrlKey || event.metaKey || event.altKey || !session) return;
  const run = keys[event.key.toLowerCase()];
  if (!run) return;
  event.preventDefault();
  run();
}

el('open').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = el('source').value.trim();
  history.pushState(null, '', `?src=${encodeURIComponent(text)}`);
  open(text);
});
el('copy').addEventListener('click', copyAddress);
el('retry').addEventListener('click', () => { if (session) { stop(); start(); } });
el('sound').addEventListener('click', toggleSound);
el('live').addEventListener('click', goLive);
video.addEventListener('loadedmetadata', recover);
video.addEventListener('waiting', stallBegins);
video.addEventListener('playing', stallEnds);
video.addEventListener('pause', () => { if (session) session.stalledSince = 0; });
video.addEventListener('error', () => {
  if (session && !session.hls && video.getAttribute('src')) {
    fail({ title: 'The stream cannot be played', text: 'It is not there, access to it is denied, or the browser cannot play it.', detail: video.error?.message || '', again: true });
  }
});
document.addEventListener('keydown', onKey);
window.addEventListener('popstate', openFromAddress);
setInterval(update, 500);
openFromAddress();
update();
