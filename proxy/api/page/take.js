// A recording as far as the browser can judge it. How good the speech in it is, only the server knows.

const TAKE_RATE = 48000;
const LEAST_SPEECH_S = 3;
const SILENT_DB = -55;
const QUIET_DB = -30;
const CLIPPED_SHARE = 0.001;
const FULL = 0.985;

// The samples of a recording, as one channel; null if the browser cannot read it.
async function samplesOf(blob) {
  let buffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, TAKE_RATE).decodeAudioData(await blob.arrayBuffer());
  } catch {
    return null;
  }
  const mixed = new Float32Array(buffer.length);
  for (let number = 0; number < buffer.numberOfChannels; number += 1) {
    const channel = buffer.getChannelData(number);
    for (let i = 0; i < channel.length; i += 1) mixed[i] += channel[i] / buffer.numberOfChannels;
  }
  return mixed;
}

function decibels(level) {
  return 20 * Math.log10(Math.max(level, 1e-6));
}

// What its speaker can do better, in sentences. `best` are the seconds that a voice should have, or null.
function faultsOf(samples, best) {
  let peak = 0;
  let clipped = 0;
  for (const sample of samples) {
    const level = Math.abs(sample);
    if (level > peak) peak = level;
    if (level >= FULL) clipped += 1;
  }
  const seconds = samples.length / TAKE_RATE;
  const faults = [];
  if (decibels(peak) < SILENT_DB) faults.push("It is silent: is the right microphone on?");
  else if (decibels(peak) < QUIET_DB) faults.push("It is very quiet: turn the microphone up, or move closer to it.");
  if (clipped > CLIPPED_SHARE * samples.length) {
    faults.push("It is distorted, because it was too loud: turn the microphone down, or move away from it.");
  }
  if (seconds < LEAST_SPEECH_S) faults.push(`It is too short: at least ${LEAST_SPEECH_S} seconds of speech are needed.`);
  else if (best && seconds < best.least) faults.push(`It is short: ${best.least} to ${best.most} seconds are better.`);
  else if (best && seconds > best.most) faults.push(`It is long: ${best.least} to ${best.most} seconds are enough.`);
  return faults;
}

// What MediaRecorder makes says nothing of its length, so players show none. This one does.
function playable(samples) {
  const pcm = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i += 1) pcm[i] = Math.max(-1, Math.min(1, samples[i])) * 32767;
  return wav([new Uint8Array(pcm.buffer)], TAKE_RATE);
}
