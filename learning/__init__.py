"""The room of torch: tasks, local updates, determinism, replay and prediction."""
