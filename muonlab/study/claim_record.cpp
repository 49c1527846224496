#include "muonlab/study/claim_record_internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <random>

#include "muonlab/core/error.h"
#include "muonlab/formats/json.h"

namespace muonlab::study::detail {

namespace {

using formats::Json;

constexpr const char* kSchema = "muonlab-claim-1";
const std::string kDraft = "draft-";
constexpr auto kLongAgo = std::chrono::hours(1);

std::string record_text(const ClaimRecord& record) {
  const Json json = {{"schema", kSchema},
                     {"released", record.released},
                     {"host", record.owner.host},
                     {"pid", record.owner.pid},
                     {"taken", record.taken},
                     {"expiry_ms", record.expiry.count()},
                     {"boot", record.owner.boot},
                     {"pid_namespace", record.owner.pid_namespace},
                     {"start_ticks", record.owner.start},
                     {"token", record.token}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Nothing when the text is not what record_text writes.
std::optional<ClaimRecord> parsed(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    if (json.at("schema") != kSchema) return std::nullopt;
    ClaimRecord record;
    record.released = json.at("released").get<bool>();
    record.owner.host = json.at("host").get<std::string>();
    record.owner.pid = json.at("pid").get<std::int64_t>();
    record.owner.boot = json.at("boot").get<std::string>();
    record.owner.pid_namespace = json.at("pid_namespace").get<std::string>();
    record.owner.start = json.at("start_ticks").get<std::uint64_t>();
    record.taken = json.at("taken").get<std::string>();
    record.token = json.at("token").get<std::string>();
    record.expiry =
        std::chrono::milliseconds(json.at("expiry_ms").get<std::int64_t>());
    return record;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

// RAII for a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

std::chrono::nanoseconds modified(const struct stat& status) {
  return std::chrono::seconds(status.st_mtim.tv_sec) +
         std::chrono::nanoseconds(status.st_mtim.tv_nsec);
}

// Without fsync: after a crash of the machine an empty file only costs the
// others the expiry. On NFS, close sends what was written to the server.
bool write_new(const std::filesystem::path& path, const std::string& text) {
  const int file =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) return false;
  std::size_t done = 0;
  while (done < text.size()) {
    const auto count = ::write(file, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    done += static_cast<std::size_t>(count);
  }
  const int reason = errno;
  if (::close(file) != 0) return false;
  errno = reason;
  return done == text.size();
}

}  // namespace

std::int64_t newest_number(const std::filesystem::path& folder) {
  std::int64_t newest = 0;
  std::error_code fault;
  std::filesystem::directory_iterator entries(folder, fault);
  if (fault) throw_io_error(folder, "cannot list", fault.value());
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    std::int64_t number = 0;
    const auto end =
        std::from_chars(name.data(), name.data() + name.size(), number).ptr;
    if (std::string_view(end) == ".json") newest = std::max(newest, number);
  }
  return newest;
}

std::filesystem::path numbered_file(const std::filesystem::path& folder,
                                    std::int64_t number) {
  return folder / (std::to_string(number) + ".json");
}

std::optional<StoredClaim> read_claim(const std::filesystem::path& path) {
  // open and fstat, not stat: NFS asks the server again at each open.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return std::nullopt;
  struct stat status{};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    throw_io_error(path, "cannot read", errno);
  }
  std::array<char, 4096> bytes{};
  std::string text;
  for (;;) {
    const auto count = ::read(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_io_error(path, "cannot read", errno);
    if (count == 0) break;
    text.append(bytes.data(), static_cast<std::size_t>(count));
  }
  return StoredClaim{parsed(text), modified(status)};
}

std::string random_token() {
  std::random_device random;
  std::string token;
  for (int part = 0; part < 4; ++part) {
    std::array<char, 9> digits{};
    (void)std::snprintf(digits.data(), digits.size(), "%08x", random());
    token += digits.data();
  }
  return token;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  (void)std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

ClaimDraft::ClaimDraft(const std::filesystem::path& folder,
                       const ClaimRecord& record)
    : folder_(folder), path_(folder / (kDraft + random_token())) {
  struct stat status{};
  if (!write_new(path_, record_text(record)) ||
      ::stat(path_.c_str(), &status) != 0) {
    const int reason = errno;
    ::unlink(path_.c_str());
    throw_io_error(path_, "cannot write", reason);
  }
  written_ = modified(status);
}

ClaimDraft::~ClaimDraft() { ::unlink(path_.c_str()); }

bool ClaimDraft::publish(std::int64_t number) const {
  const auto target = numbered_file(folder_, number);
  if (::link(path_.c_str(), target.c_str()) == 0) return true;
  const int reason = errno;
  // The answer of an NFS server can get lost, and the repeated request then
  // fails though the first one was carried out: the link count knows.
  struct stat status{};
  if (::stat(path_.c_str(), &status) == 0 && status.st_nlink == 2) return true;
  if (reason == EEXIST) return false;
  if (reason == EPERM || reason == EOPNOTSUPP || reason == ENOSYS) {
    throw Error(ErrorKind::kUnsupported,
                concat(target.string(),
                       ": the file system has no hard links, which claims "
                       "between machines need"),
                "keep the runs on a local disk or on NFS");
  }
  throw_io_error(target, "cannot create", reason);
}

void remove_old_drafts(const std::filesystem::path& folder,
                       std::chrono::nanoseconds now) {
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder, ignored)) {
    struct stat status{};
    if (entry.path().filename().string().rfind(kDraft, 0) == 0 &&
        ::stat(entry.path().c_str(), &status) == 0 &&
        now - modified(status) > kLongAgo) {
      ::unlink(entry.path().c_str());
    }
  }
}

}  // namespace muonlab::study::detail
