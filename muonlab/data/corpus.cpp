#include "muonlab/data/corpus.h"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <utility>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/data/utf8.h"

namespace muonlab::data {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSeparatorLine = "<|endoftext|>";

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\n\v\f\r") == std::string_view::npos;
}

void add(Corpus& corpus, std::string name, std::string text) {
  if (is_blank(text)) {
    ++corpus.empty_documents;
    return;
  }
  if (!is_valid_utf8(text)) ++corpus.invalid_utf8_documents;
  corpus.documents.push_back({std::move(name), std::move(text)});
}

// Calls visit(line, start, next) for each line; `next` is where the following
// line starts. The line holds neither "\n" nor a "\r" before it.
template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t newline = text.find('\n', start);
    const std::size_t end = std::min(newline, text.size());
    const std::size_t next = std::min(end + 1, text.size());
    std::string_view line = text.substr(start, end - start);
    if (line.ends_with('\r')) line.remove_suffix(1);
    visit(line, start, next);
    start = next;
  }
}

void read_text(Corpus& corpus, const fs::path& path) {
  const std::string bytes = core::read_file(path);
  const std::string_view text = bytes;
  const std::string name = path.filename().string();
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  for_each_line(
      text, [&](std::string_view line, std::size_t start, std::size_t next) {
        if (line != kSeparatorLine) return;
        // A separator at the very start or end encloses no document.
        if (start > 0) parts.push_back(text.substr(begin, start - begin));
        begin = next;
      });
  if (begin < text.size() || parts.empty()) {
    parts.push_back(text.substr(begin));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    add(corpus, parts.size() == 1 ? name : concat(name, "#", i + 1),
        std::string(parts[i]));
  }
}

void read_json_lines(Corpus& corpus, const fs::path& path) {
  const std::string bytes = core::read_file(path);
  const std::string name = path.filename().string();
  std::int64_t number = 0;
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kCorruptData,
                concat(path.string(), ": line ", number, ": ", what),
                "each line must be a JSON object with a string \"text\"");
  };
  for_each_line(bytes, [&](std::string_view line, std::size_t, std::size_t) {
    ++number;
    if (is_blank(line)) return;
    auto object = nlohmann::json::parse(line, nullptr, false);
    if (object.is_discarded()) fail("is not JSON");
    if (!object.is_object()) {
      fail(concat("got ", object.type_name(), ", expected an object"));
    }
    const auto text = object.find("text");
    if (text == object.end()) fail("has no field \"text\"");
    if (!text->is_string()) {
      fail(concat("field \"text\": got ", text->type_name(),
                  ", expected string"));
    }
    add(corpus, concat(name, "#", number),
        std::move(text->get_ref<std::string&>()));
  });
}

void read_folder(Corpus& corpus, const fs::path& folder) {
  std::vector<std::pair<std::string, fs::path>> files;
  std::error_code code;
  fs::recursive_directory_iterator entry(folder, code);
  const fs::recursive_directory_iterator end;
  while (!code && entry != end) {
    if (entry->path().extension() == ".txt" && entry->is_regular_file(code)) {
      files.emplace_back(
          entry->path().lexically_relative(folder).generic_string(),
          entry->path());
    }
    entry.increment(code);
  }
  if (code) throw_io_error(folder, "cannot list the folder", code.value());
  std::sort(files.begin(), files.end());
  for (auto& [name, path] : files) {
    add(corpus, name, core::read_file(path));
  }
}

// "shelf/books/" and "shelf/books" are both "books".
std::string last_part(const fs::path& path) {
  fs::path normal = fs::absolute(path).lexically_normal();
  if (!normal.has_filename()) normal = normal.parent_path();
  return normal.filename().string();
}

}  // namespace

std::int64_t Corpus::bytes() const {
  std::size_t sum = 0;
  for (const Document& document : documents) sum += document.text.size();
  return static_cast<std::int64_t>(sum);
}

Corpus read_documents(const fs::path& path) {
  Corpus corpus;
  corpus.name = last_part(path);
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (!fs::exists(status)) {
    throw_io_error(path, "cannot read the corpus",
                   code ? code.value() : ENOENT);
  }
  const bool folder = fs::is_directory(status);
  if (folder) {
    read_folder(corpus, path);
  } else if (path.extension() == ".jsonl") {
    read_json_lines(corpus, path);
  } else {
    read_text(corpus, path);
  }
  if (corpus.documents.empty()) {
    throw Error(
        ErrorKind::kInvalidArgument,
        concat(path.string(), ": no document: got ", corpus.empty_documents,
               corpus.empty_documents == 1 ? " empty document"
                                           : " empty documents",
               ", expected at least 1 with text"),
        folder ? "documents are the files below the folder whose names end in "
                 ".txt"
               : "give a folder of .txt files, a text file or a .jsonl file");
  }
  return corpus;
}

}  // namespace muonlab::data
