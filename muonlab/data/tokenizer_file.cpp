// Reading tokenizer.json, with an answer to everything that can be wrong in it.
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/data/bpe_tokenizer.h"
#include "muonlab/data/byte_level.h"
#include "muonlab/data/byte_tokenizer.h"
#include "muonlab/data/gguf_tokenizer.h"
#include "muonlab/data/tokenizer.h"

namespace muonlab::data {

namespace {

// Sorted, not formats::Json: that keeps the order of insertion and so searches
// a vocabulary of 50,000 entries from its start for each of them.
using Json = nlohmann::json;

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path) {}

  std::shared_ptr<const Tokenizer> read() {
    const std::string text = core::read_file(path_);
    Json file;
    try {
      file = Json::parse(text);
    } catch (const Json::parse_error& error) {
      corrupt(concat("not valid JSON at byte ", error.byte, ": file of ",
                     text.size(), " bytes"));
    } catch (const Json::exception& error) {  // a number out of range
      corrupt(concat("not valid JSON: ", error.what()));
    }
    if (!file.is_object() || !file.contains("model")) {
      corrupt("has no field \"model\"");
    }
    check_sort(file);
    read_pretokenizer(file);
    read_vocabulary(file);
    read_merges(file["model"]);
    if (merges_.empty() && is_byte_layout()) {
      return std::make_shared<ByteTokenizer>();
    }
    try {
      return std::make_shared<BpeTokenizer>(
          std::move(tokens_), std::move(merges_), separator_, pretokenizer_);
    } catch (const Error& error) {
      corrupt(error.what());
    }
  }

 private:
  [[noreturn]] void corrupt(const std::string& what) const {
    throw Error(ErrorKind::kCorruptData, concat(path_.string(), ": ", what),
                "make it anew with `muonlab tokenizer train` or `muonlab data "
                "prepare --force`");
  }

  void expect(const Json& parent, const char* name, const std::string& where,
              const std::vector<Json>& allowed) const {
    const Json value = parent.is_object() ? parent.value(name, Json()) : Json();
    for (const Json& one : allowed) {
      if (value == one) return;
    }
    foreign(where + name, value, allowed[0].dump());
  }

  [[noreturn]] void foreign(const std::string& field, const Json& value,
                            const std::string& expected) const {
    throw Error(
        ErrorKind::kUnsupported,
        concat(path_.string(), ": ", field, ": got ",
               value.dump(-1, ' ', false, Json::error_handler_t::replace),
               ", expected ", expected),
        "muonlab reads byte-level BPE tokenizers with GPT-2's or SmolLM's "
        "pattern; make one with `muonlab tokenizer train`");
  }

  void check_sort(const Json& file) const {
    const Json& model = file["model"];
    expect(model, "type", "model.", {"BPE"});
    expect(model, "dropout", "model.", {nullptr, 0.0});
    expect(model, "continuing_subword_prefix", "model.", {nullptr, ""});
    expect(model, "end_of_word_suffix", "model.", {nullptr, ""});
    expect(model, "byte_fallback", "model.", {false, nullptr});
    expect(model, "ignore_merges", "model.", {false, nullptr});
    expect(file, "normalizer", "", {nullptr});
  }

  void read_pretokenizer(const Json& file) {
    Json split = file.value("pre_tokenizer", Json());
    if (split.is_object() && split.value("type", Json()) == "Sequence") {
      const Json parts = split.value("pretokenizers", Json());
      const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
      if (!parts.is_array() || parts.size() != 2 || parts[0] != digits) {
        foreign("pre_tokenizer.pretokenizers", parts,
                concat(digits.dump(), " and ByteLevel"));
      }
      split = parts[1];
      pretokenizer_ = PretokenizerKind::kSmollm;
    }
    expect(split, "type", "pre_tokenizer.", {"ByteLevel"});
    expect(split, "add_prefix_space", "pre_tokenizer.", {false});
    // Files from before the field existed mean true.
    expect(split, "use_regex", "pre_tokenizer.", {true, nullptr});
  }

  void read_vocabulary(const Json& file) {
    const Json vocabulary = file["model"].value("vocab", Json());
    if (!vocabulary.is_object()) corrupt("model.vocab: is not an object");
    const std::optional<std::int64_t> separator = find_separator(file);
    if (!separator) {
      corrupt(concat("added_tokens: has no special token ", kSeparatorText));
    }
    const bool listed = vocabulary.contains(std::string(kSeparatorText));
    const std::size_t size = vocabulary.size() + (listed ? 0 : 1);
    tokens_.resize(size);
    std::vector<bool> filled(size, false);
    const auto place = [&](const std::string& name, std::int64_t id) {
      if (id < 0 || id >= static_cast<std::int64_t>(size) ||
          filled[static_cast<std::size_t>(id)]) {
        corrupt(concat("model.vocab: token '", name, "': got id ", id,
                       ", expected each of 0 to ", size - 1, " once"));
      }
      filled[static_cast<std::size_t>(id)] = true;
    };
    separator_ = static_cast<std::int32_t>(*separator);
    place(std::string(kSeparatorText), *separator);
    for (const auto& [name, value] : vocabulary.items()) {
      if (!value.is_number_integer()) {
        corrupt(
            concat("model.vocab: token '", name, "': id is not an integer"));
      }
      if (name == kSeparatorText) {
        if (value.get<std::int64_t>() == *separator) continue;
        corrupt(concat("model.vocab: token '", name, "': got id ",
                       value.get<std::int64_t>(), ", expected ", *separator,
                       " as in added_tokens"));
      }
      place(name, value.get<std::int64_t>());
      std::optional<std::string> bytes = from_byte_level(name);
      if (!bytes || bytes->empty()) {
        corrupt(
            concat("model.vocab: token '", name, "': is not byte-level text"));
      }
      id_of_[name] = value.get<std::int32_t>();
      tokens_[value.get<std::size_t>()] = std::move(*bytes);
    }
  }

  std::optional<std::int64_t> find_separator(const Json& file) const {
    std::optional<std::int64_t> id;
    const Json added = file.value("added_tokens", Json::array());
    for (const Json& token : added) {
      if (!token.is_object()) continue;
      const Json content = token.value("content", Json());
      if (content != kSeparatorText) {
        throw Error(
            ErrorKind::kUnsupported,
            concat(path_.string(), ": added_tokens: got ", content.dump(),
                   ", expected ", kSeparatorText, " alone"),
            "muonlab reads tokenizers whose only special token is "
            "<|endoftext|>; make one with `muonlab tokenizer train`");
      }
      const Json value = token.value("id", Json());
      if (value.is_number_integer()) id = value.get<std::int64_t>();
    }
    return id;
  }

  void read_merges(const Json& model) {
    const Json list = model.value("merges", Json());
    if (!list.is_array()) corrupt("model.merges: is not a list");
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto [left, right] = read_pair(list[i], i);
      const auto left_id = id_of_.find(left);
      const auto right_id = id_of_.find(right);
      const auto result = id_of_.find(left + right);
      if (left_id == id_of_.end() || right_id == id_of_.end() ||
          result == id_of_.end()) {
        corrupt(concat("model.merges: entry ", i, ": '", left, "' and '", right,
                       "': got a token that model.vocab does not have"));
      }
      merges_.push_back({left_id->second, right_id->second, result->second});
    }
  }

  // Old files have "LEFT RIGHT", newer ones ["LEFT", "RIGHT"].
  std::pair<std::string, std::string> read_pair(const Json& entry,
                                                std::size_t i) const {
    if (entry.is_string()) {
      const auto& line = entry.get_ref<const std::string&>();
      const std::size_t blank = line.find(' ');
      if (blank != std::string::npos) {
        return {line.substr(0, blank), line.substr(blank + 1)};
      }
    } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() &&
               entry[1].is_string()) {
      return {entry[0].get<std::string>(), entry[1].get<std::string>()};
    }
    corrupt(concat("model.merges: entry ", i, ": is not a pair of tokens"));
  }

  bool is_byte_layout() const {
    if (tokens_.size() != 257 || separator_ != 256) return false;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      if (tokens_[byte] != std::string(1, static_cast<char>(byte))) {
        return false;
      }
    }
    return true;
  }

  std::filesystem::path path_;
  std::vector<std::string> tokens_;
  std::int32_t separator_ = 0;
  PretokenizerKind pretokenizer_ = PretokenizerKind::kGpt2;
  std::unordered_map<std::string, std::int32_t> id_of_;
  std::vector<BpeMerge> merges_;
};

}  // namespace

std::shared_ptr<const Tokenizer> load_tokenizer(
    const std::filesystem::path& path) {
  if (formats::is_gguf(path)) return load_gguf_tokenizer(path);
  return Reader(path).read();
}

}  // namespace muonlab::data
