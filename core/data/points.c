#include "core/data/points.h"

/* One type for each kind of point, all with attributes. */
#define EACH(data)                                                                                 \
	for (size_t i = 0; i < (data)->n_data_points && goes_on; i++)                              \
	goes_on = visit(arg, &(data)->data_points[i]->n_attributes,                                \
	                &(data)->data_points[i]->attributes)

bool points_each(const Otlp__Metric *metric,
                 bool (*visit)(void *arg, size_t *n, Otlp__KeyValue ***attributes), void *arg)
{
	bool goes_on = true;

	switch (metric->data_case) {
	case OTLP__METRIC__DATA_GAUGE:
		EACH(metric->gauge);
		break;
	case OTLP__METRIC__DATA_SUM:
		EACH(metric->sum);
		break;
	case OTLP__METRIC__DATA_HISTOGRAM:
		EACH(metric->histogram);
		break;
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		EACH(metric->exponential_histogram);
		break;
	case OTLP__METRIC__DATA_SUMMARY:
		EACH(metric->summary);
		break;
	default:
		break;
	}
	return goes_on;
}
