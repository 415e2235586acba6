/*
 * A process that cannot be read: a page or a file of it comes from a FUSE file system of its own that never answers, or from a userfaultfd
 * that nobody serves. It asks one name, prints "asked", and lives until its standard input ends; then the file system is gone too.
 *
 * Usage: hanging HOW FUSE-DEVICE SERVER NAME [USER]
 *   memory  a mapping called memfd:OTEL_CTX, of the FUSE file; another process waits for the same page
 *   lock    a thread reads such a page through /proc/self/mem, which holds the lock on what the process has mapped
 *   resolv  /etc/resolv.conf of its mount namespace is the FUSE file, which root has mounted (as a hung NFS would be)
 *   fault   a real memfd called OTEL_CTX, its page registered with userfaultfd
 */
#define _GNU_SOURCE
#include "message.h"
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_SIZE 65536
#define FILE_NAME "memfd:OTEL_CTX"

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static uid_t user = 1000;

static void become_user(void)
{
	if (setgid(user) || setuid(user))
		die("setuid");
}

static void enter_namespaces(void)
{
	char map[32];

	become_user();
	/* Another user's process is not dumpable: its own /proc would not be writable. */
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		die("unshare");
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "0 %u 1", user);
	write_text("/proc/self/uid_map", map);
	write_text("/proc/self/gid_map", map);
}

static void reply(int fuse, uint64_t unique, int error, const void *data, size_t length)
{
	char bytes[1024];
	struct fuse_out_header head = {.len = sizeof head + length, .error = error, .unique = unique};

	memcpy(bytes, &head, sizeof head);
	if (length)
		memcpy(bytes + sizeof head, data, length);
	if (write(fuse, bytes, head.len) < 0 && errno != ENOENT)
		die("fuse");
}

static struct fuse_attr attributes(uint64_t inode)
{
	struct fuse_attr attr = {.ino = inode, .nlink = 1, .blksize = 4096};

	attr.mode = inode == 1 ? S_IFDIR | 0755 : S_IFREG | 0644;
	attr.size = inode == 1 ? 0 : FILE_SIZE;
	return attr;
}

/* Answers everything but READ. */
static void serve(int fuse, int is_root)
{
	static char bytes[FUSE_MIN_READ_BUFFER + FILE_SIZE * 2];

	if (is_root)
		become_user();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct fuse_in_header *in = (void *)bytes;
		ssize_t size = read(fuse, bytes, sizeof bytes);

		if (size < 0 && errno != EINTR && errno != ENOENT)
			_exit(0);
		if (size < (ssize_t)sizeof *in)
			continue;
		if (in->opcode == FUSE_INIT) {
			struct fuse_init_in *init = (void *)(in + 1);
			struct fuse_init_out out = {.major = 7,
						    .minor = 31,
						    .max_readahead = init->max_readahead,
						    .max_write = FILE_SIZE,
						    .max_background = 16};
			reply(fuse, in->unique, 0, &out, sizeof out);
		} else if (in->opcode == FUSE_LOOKUP) {
			struct fuse_entry_out out = {
			    .nodeid = 2, .attr_valid = 3600, .entry_valid = 3600, .attr = attributes(2)};
			reply(fuse, in->unique, 0, &out, sizeof out);
		} else if (in->opcode == FUSE_GETATTR) {
			struct fuse_attr_out out = {.attr_valid = 3600, .attr = attributes(in->nodeid)};
			reply(fuse, in->unique, 0, &out, sizeof out);
		} else if (in->opcode == FUSE_OPEN || in->opcode == FUSE_OPENDIR) {
			struct fuse_open_out out = {.fh = 1};
			reply(fuse, in->unique, 0, &out, sizeof out);
		} else if (in->opcode != FUSE_READ && in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET &&
			   in->opcode != FUSE_INTERRUPT) {
			reply(fuse, in->unique, -ENOSYS, NULL, 0);
		}
	}
}

/* Mounts the file system on /mnt/f. The server alone holds the device: when it is killed, whoever waits gets an error. */
static pid_t start_server(const char *device, int is_root)
{
	char options[128];
	int fuse;
	pid_t server;

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("tmpfs", "/mnt", "tmpfs", 0, NULL))
		die("mount");
	mkdir("/mnt/f", 0755);
	fuse = open(device, O_RDWR | O_CLOEXEC);
	if (fuse < 0)
		die(device);
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0%s", fuse,
		 is_root ? ",allow_other" : "");
	if (mount("hanging", "/mnt/f", "fuse", 0, options))
		die("mount fuse");
	server = fork();
	if (server == 0)
		serve(fuse, is_root);
	close(fuse);
	return server;
}

static char *map_file(void)
{
	int fd = open("/mnt/f/" FILE_NAME, O_RDONLY);
	char *page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

	if (page == MAP_FAILED)
		die("mmap");
	close(fd);
	return page;
}

static void *read_own_memory(void *page)
{
	char byte;
	int fd = open("/proc/self/mem", O_RDONLY);

	if (fd < 0 || pread(fd, &byte, 1, (off_t)page) < 0)
		return NULL;
	return page;
}

static void *map_something(void *unused)
{
	usleep(200000);
	return mmap(unused, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* The kernel keeps the lock on what is mapped while it reads the page; who wants to change it waits, and after that who wants to look. */
static void hold_lock(char *page)
{
	pthread_t reader, writer;

	/* A thread is made by mapping its stack. */
	if (pthread_create(&writer, NULL, map_something, NULL) || pthread_create(&reader, NULL, read_own_memory, page))
		die("thread");
	usleep(300000);
}

static void map_fault(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	int fault = syscall(SYS_userfaultfd, O_CLOEXEC);
	int fd = memfd_create("OTEL_CTX", 0);
	char *page;

	if (fault < 0 || fd < 0 || ftruncate(fd, 4096))
		die("userfaultfd");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	range.range.start = (unsigned long)page;
	range.range.len = 4096;
	if (page == MAP_FAILED || ioctl(fault, UFFDIO_API, &api) || ioctl(fault, UFFDIO_REGISTER, &range))
		die("UFFDIO_REGISTER");
}

int main(int argc, char **argv)
{
	int is_whole = argc == 5 || argc == 6;
	const char *how = is_whole ? argv[1] : "";
	const char *name = is_whole ? argv[4] : "";
	struct sockaddr_storage to;
	struct message query;
	pid_t server = 0;
	int s;

	if (!is_whole)
		return 2;
	if (argc == 6)
		user = (uid_t)atoi(argv[5]);
	name = strdup(name);
	query = build_query(name, 0x4711);
	if (strcmp(how, "resolv") == 0) {
		if (unshare(CLONE_NEWNS))
			die("unshare");
		server = start_server(argv[2], 1);
		if (mount("/mnt/f/" FILE_NAME, "/etc/resolv.conf", NULL, MS_BIND, NULL))
			die("bind");
		become_user();
	} else if (strcmp(how, "fault") == 0) {
		map_fault();
	} else {
		char *page;

		enter_namespaces();
		server = start_server(argv[2], 0);
		page = map_file();
		if (umount2("/mnt/f", MNT_DETACH))
			die("umount");
		if (strcmp(how, "lock") == 0) {
			hold_lock(page);
		} else if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(*(volatile char *)page);
		}
		usleep(100000);
	}
	socklen_t length = parse_address(argv[3], 53, &to);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	if (s < 0 || sendto(s, query.bytes, query.length, 0, (struct sockaddr *)&to, length) < 0)
		die("send");
	write(1, "asked\n", 6);
	while (read(0, query.bytes, sizeof query.bytes) > 0)
		;
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	return 0;
}
