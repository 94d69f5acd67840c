import drain_app

loglevel = "error"


def post_worker_init(worker):
    if worker.cfg.worker_class_str != "asgi":  # that one has a lifespan
        drain_app.post_worker_init(worker)


def worker_exit(server, worker):
    drain_app.worker_exit(server, worker)
