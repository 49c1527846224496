#include "muonlab/data/gguf_tokenizer.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/data/byte_level.h"

namespace muonlab::data {

namespace {

using formats::GgufFile;

constexpr std::int64_t kNormal = 1;   // a token that encoding can give
constexpr std::int64_t kControl = 3;  // one that only code gives

constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kPre = "tokenizer.ggml.pre";
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kMerges = "tokenizer.ggml.merges";

class Builder {
 public:
  explicit Builder(const GgufFile& file) : file_(file) {}

  std::shared_ptr<const BpeTokenizer> build() {
    const std::string& model = file_.text(kModel);
    if (model != "gpt2") unsupported(kModel, model, "gpt2 (byte-level BPE)");
    const PretokenizerKind pretokenizer = read_pretokenizer();
    read_tokens();
    read_merges();
    try {
      return std::make_shared<BpeTokenizer>(
          std::move(tokens_), std::move(merges_), separator_, pretokenizer);
    } catch (const Error& error) {
      corrupt(kMerges, error.what());
    }
  }

 private:
  [[noreturn]] void corrupt(const char* key, const std::string& what) const {
    throw Error(ErrorKind::kCorruptData,
                concat(file_.path.string(), ": ", key, ": ", what),
                "fetch the file again, or use one with a whole tokenizer");
  }

  [[noreturn]] void unsupported(const char* key, const std::string& found,
                                std::string_view expected) const {
    throw Error(ErrorKind::kUnsupported,
                concat(file_.path.string(), ": ", key, ": got '", found,
                       "', expected ", expected),
                "use a model with such a tokenizer, or train one with `muonlab "
                "tokenizer train`");
  }

  [[nodiscard]] PretokenizerKind read_pretokenizer() const {
    const std::string& pre = file_.text(kPre);
    if (pre == "smollm") return PretokenizerKind::kSmollm;
    if (pre != "gpt-2") unsupported(kPre, pre, "gpt-2 or smollm");
    return PretokenizerKind::kGpt2;
  }

  [[nodiscard]] const std::vector<std::string>& strings(const char* key) const {
    const auto* list =
        std::get_if<std::vector<std::string>>(&file_.array(key).items);
    if (list == nullptr) corrupt(key, "is not a list of strings");
    return *list;
  }

  void read_tokens() {
    const std::vector<std::string>& names = strings(kTokens);
    const auto* types =
        std::get_if<std::vector<std::int64_t>>(&file_.array(kTypes).items);
    if (types == nullptr || types->size() != names.size()) {
      corrupt(kTypes,
              concat("got ", file_.array(kTypes).size(), " elements, expected ",
                     names.size(), " whole numbers, one for each token"));
    }
    std::optional<std::size_t> separator;
    for (std::size_t id = 0; id < names.size(); ++id) {
      const auto number = static_cast<std::int32_t>(id);
      if (!id_of_.emplace(names[id], number).second) {
        corrupt(kTokens, concat("token ", id, " '", names[id],
                                "': got it twice, expected it once"));
      }
      if (names[id] == kSeparatorText) separator = id;
      tokens_.push_back(bytes_of(names[id], (*types)[id], id));
    }
    if (!separator) corrupt(kTokens, concat("has no token ", kSeparatorText));
    separator_ = static_cast<std::int32_t>(*separator);
    tokens_[*separator].clear();
  }

  [[nodiscard]] std::string bytes_of(const std::string& name, std::int64_t type,
                                     std::size_t id) const {
    if (type != kNormal && type != kControl) {
      unsupported(kTypes, concat(type, " for token ", id, " '", name, "'"),
                  "1 (normal) or 3 (control)");
    }
    std::optional<std::string> bytes = from_byte_level(name);
    if (!bytes || bytes->empty()) {
      corrupt(kTokens,
              concat("token ", id, " '", name, "': is not byte-level text"));
    }
    return std::move(*bytes);
  }

  void read_merges() {
    const std::vector<std::string>& lines = strings(kMerges);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::string& line = lines[i];
      const std::size_t blank = line.find(' ');
      const auto left = id_of_.find(line.substr(0, blank));
      const auto right =
          id_of_.find(blank == std::string::npos ? "" : line.substr(blank + 1));
      const auto result = left == id_of_.end() || right == id_of_.end()
                              ? id_of_.end()
                              : id_of_.find(left->first + right->first);
      if (result == id_of_.end()) {
        corrupt(kMerges, concat("entry ", i, ": got '", line,
                                "', expected two tokens that make a third"));
      }
      merges_.push_back({left->second, right->second, result->second});
    }
  }

  const GgufFile& file_;
  std::vector<std::string> tokens_;
  std::int32_t separator_ = 0;
  std::unordered_map<std::string, std::int32_t> id_of_;
  std::vector<BpeMerge> merges_;
};

}  // namespace

std::shared_ptr<const BpeTokenizer> gguf_tokenizer(const GgufFile& file) {
  return Builder(file).build();
}

std::shared_ptr<const BpeTokenizer> load_gguf_tokenizer(
    const std::filesystem::path& path) {
  return gguf_tokenizer(formats::read_gguf(path));
}

}  // namespace muonlab::data
