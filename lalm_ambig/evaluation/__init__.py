"""From predictions to results: intervals, comparisons, break-downs and tables."""
