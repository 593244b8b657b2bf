"""Two nodes of Ray on one machine, for as long as standard input is open.

Prints their address, then does what each line says, and prints it: "kill" ends GCS, "start" starts it again.
"""

import sys

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 4, "num_gpus": 1, "object_store_memory": 100 * 2**20}

cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
cluster.add_node(**NODE)
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "kill":
        cluster.head_node.kill_gcs_server()
    else:
        cluster.head_node.start_gcs_server()
    print(line.strip(), flush=True)
cluster.shutdown()
