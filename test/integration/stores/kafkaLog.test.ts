import { startTestKafka } from '../../support/kafka.js';
import { logSuite } from '../../support/logSuite.js';

logSuite('kafka', startTestKafka);
