export { Client, CoordinatorError, Unavailable } from './client.js';
export { PermanentFailure, Reject, RetryLater, Worker } from './worker.js';
