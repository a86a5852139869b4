// Run by the example `distributed`: as many requests per second for each process, whatever becomes of them.
import http from 'k6/http';

const number = (name) => Number(__ENV[name]);

const URLS = __ENV.URLS.split(',');
const RATE = number('RATE'); // requests/s, for each process
const SECONDS = number('SECONDS');
const CLIENT_TIMEOUT = number('CLIENT_TIMEOUT');

const milliseconds = (seconds) => `${Math.round(seconds * 1000)}ms`;

export const options = {
  // The scenario is the number of the process.
  scenarios: Object.fromEntries(
    URLS.map((url, index) => [
      String(index + 1),
      {
        executor: 'constant-arrival-rate',
        rate: RATE,
        duration: milliseconds(SECONDS),
        // Enough users to keep the rate up even while every one of them waits for its timeout.
        preAllocatedVUs: Math.ceil(RATE * CLIENT_TIMEOUT) + 10,
        gracefulStop: milliseconds(CLIENT_TIMEOUT),
        env: { URL: url },
      },
    ]),
  ),
  // What the example reads, and no more: fewer tags are less work for k6.
  systemTags: ['scenario', 'status', 'error_code'],
  discardResponseBodies: true,
};

export default () => {
  http.get(`${__ENV.URL}/work`, { timeout: milliseconds(CLIENT_TIMEOUT) });
};
