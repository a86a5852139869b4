// Run with: k6 run --no-usage-report examples/overload/src/overload.js
//
// against a server started with
//   cargo run --release -p overload -- --serve --limit on      (the thresholds pass)
//   cargo run --release -p overload -- --serve --limit off     (they fail)
//
// Every number can be set, times in seconds: k6 run -e PEAK_VUS=300 -e RAMP=30 ...
import http from 'k6/http';
import exec from 'k6/execution';
import { Rate } from 'k6/metrics';

const number = (name, otherwise) => Number(__ENV[name] ?? otherwise);

const URL = __ENV.URL ?? 'http://127.0.0.1:3000';
const FILE_VUS = number('FILE_VUS', 2);
const FILE_RATE = number('FILE_RATE', 0); // requests/s; 0: as many as FILE_VUS can make
const VUS = number('VUS', 10);
const PEAK_VUS = number('PEAK_VUS', 150);
const STEADY = number('STEADY', 30);
const RAMP = number('RAMP', 60);
const DROP = number('DROP', 1);
const RECOVERY = number('RECOVERY', 60);
const CLIENT_TIMEOUT = number('CLIENT_TIMEOUT', 6);

const seconds = (value) => `${Math.round(value * 1000)}ms`;
const DURATION = seconds(STEADY + RAMP + DROP + RECOVERY);

// A neighbour that has nothing to do with the database.
const greedy = { executor: 'constant-vus', vus: FILE_VUS, duration: DURATION };
const steady = {
  executor: 'constant-arrival-rate',
  rate: FILE_RATE,
  duration: DURATION,
  // Enough users to keep the rate up even while every one of them waits for its timeout.
  preAllocatedVUs: Math.ceil(FILE_RATE * CLIENT_TIMEOUT),
};

export const options = {
  scenarios: {
    file: { exec: 'file', gracefulStop: seconds(CLIENT_TIMEOUT), ...(FILE_RATE > 0 ? steady : greedy) },
    messages: {
      exec: 'messages',
      executor: 'ramping-vus',
      startVUs: VUS,
      stages: [
        { duration: seconds(STEADY), target: VUS },
        { duration: seconds(RAMP), target: PEAK_VUS },
        { duration: seconds(DROP), target: VUS },
        { duration: seconds(RECOVERY), target: VUS },
      ],
      // Users who leave wait for their last answer, as browsers do.
      gracefulRampDown: seconds(CLIENT_TIMEOUT),
      gracefulStop: seconds(CLIENT_TIMEOUT),
    },
  },
  thresholds: {
    'answered{scenario:messages}': ['rate>0.99'],
    'answered{scenario:file}': ['rate>0.99'],
  },
  // What the benchmark reads, and no more: fewer tags are less work for k6.
  systemTags: ['scenario', 'status', 'error_code'],
  discardResponseBodies: true,
};

// Served, or refused in time. A timeout, a reset connection, a 500 is neither.
const answered = new Rate('answered');

const get = (path) => {
  const response = http.get(URL + path, { timeout: seconds(CLIENT_TIMEOUT) });
  answered.add(response.status === 200 || response.status === 503);
};

export const messages = () => get('/messages');
export const file = () => get('/file');

export function setup() {
  if (http.get(`${URL}/file`).status === 0) {
    exec.test.abort(
      `no server at ${URL}; start one with: cargo run --release -p overload -- --serve --limit on`,
    );
  }
}
