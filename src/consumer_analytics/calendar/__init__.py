"""Instants, periods and schedules: the one place that cuts local days."""
