#!/bin/sh
# Starts Redis on its folder of the data volume. An older Redis comes up empty on a newer one's files without a word,
# so the folder says which version wrote it, and an older one is refused (services/cluster/redis_server.py does the same).
set -eu
folder=/perm_storage/redis
mark=$folder/VERSION
version=$(redis-server --version | sed -n 's/.* v=\([0-9.]*\).*/\1/p')
if [ -e "$mark" ]; then
	written=$(cat "$mark")
	oldest=$(printf '%s\n' "${version%.*}" "${written%.*}" | sort -V | head -n 1)
	if [ "$oldest" != "${written%.*}" ]; then
		echo "The records in $folder were written by Redis $written; this is Redis $version, which would not see them." \
			"Use the same Redis or a newer one." >&2
		exit 1
	fi
fi
echo "$version" > "$mark.tmp"
mv "$mark.tmp" "$mark"
# Reached only on the network that Hearth's own services share.
exec redis-server --bind 0.0.0.0 --protected-mode no --dir "$folder" --appendonly yes --appendfsync always --save '' \
	--maxmemory-policy noeviction --loglevel warning
