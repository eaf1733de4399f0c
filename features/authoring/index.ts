export { t, type FieldType } from './valueTypes.js';
export { entity, type Entity } from './entity.js';
export { eventStream, type EventStream, type EventStreamOptions, type FieldsOf, type Schema } from './eventStream.js';
export {
  AuthoredExpression,
  BoolExpression,
  NumberExpression,
  StringExpression,
  TimestampExpression,
} from './expressions.js';
export { Aggregate, count, mean, sum, WindowedFeatures } from './aggregates.js';
export { featureView, type FeatureView, type FeatureViewOptions } from './featureView.js';
export { requestFeatures, type RequestFeatures } from './requestFeatures.js';
export { featureService, type FeatureService, type ServiceInput } from './featureService.js';
export { distinctCount, first, last, max, min, WindowAggregate, windowed, type Windows } from './windows.js';
