#include "muonlab/study/figure_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "muonlab/core/files.h"
#include "muonlab/study/figures.h"
#include "tests/study/sample_results.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::study {
namespace {

using ::muonlab::testing::expect_error;
using ::muonlab::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::filesystem::path kSource = MUONLAB_SOURCE;
constexpr std::size_t kSmallest = 4000;  // bytes; an empty frame has fewer

// A big-endian number of four bytes.
std::size_t number_at(const std::string& bytes, std::size_t at) {
  std::size_t number = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    number = 256 * number + static_cast<unsigned char>(bytes.at(i));
  }
  return number;
}

class FigureExportTest : public ::testing::Test {
 protected:
  // The sample's figure of that name, as a report writes it.
  std::filesystem::path spec(const std::string& name) const {
    const Results results = testing::sample_results();
    for (const Figure& figure :
         figures(results, compare_to_baseline(results))) {
      if (figure.name != name) continue;
      const auto path = folder_ / (name + ".vl.json");
      core::write_file(path, figure.spec);
      return path;
    }
    ADD_FAILURE() << "no figure " << name;
    return {};
  }

  // An interpreter that runs these lines of shell in its place.
  std::filesystem::path pretender(const std::string& lines) const {
    const auto path = folder_ / "python";
    core::write_file(path, "#!/bin/sh\n" + lines + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }

  TemporaryFolder folder_;
  FigureExport how_{.formats = {"svg"},
                    .python = MUONLAB_JUDGE_PYTHON,
                    .script = kSource / "scripts/export_figures.py"};
};

TEST_F(FigureExportTest, DrawsAllFormats) {
  how_.formats = figure_formats();
  const auto path = spec("step-time");
  std::vector<std::filesystem::path> files;
  try {
    files = export_figures({path}, how_);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUnsupported) throw;
    GTEST_SKIP() << error.what();
  }
  const std::vector<std::filesystem::path> expected = {
      folder_ / "step-time.svg", folder_ / "step-time.png",
      folder_ / "step-time.pdf"};
  ASSERT_EQ(files, expected);
  const std::string svg = core::read_file(files[0]);
  EXPECT_THAT(svg, StartsWith("<svg"));
  EXPECT_THAT(svg, HasSubstr("width=\"480\""));
  EXPECT_THAT(svg, HasSubstr("fill=\"white\""));
  EXPECT_THAT(svg, HasSubstr("milliseconds per optimizer step"));
  EXPECT_THAT(svg, Not(HasSubstr("currentColor"))) << "a page's, not a file's";
  const std::string png = core::read_file(files[1]);
  EXPECT_THAT(png, StartsWith("\x89PNG\r\n\x1a\n"));
  EXPECT_EQ(number_at(png, 16), 960U) << "two dots for each pixel";
  const std::string pdf = core::read_file(files[2]);
  EXPECT_THAT(pdf, StartsWith("%PDF-"));
  EXPECT_THAT(pdf, HasSubstr("[0 0 360 ")) << "5 inches of 72 points";
  for (const auto& file : files) {
    EXPECT_GT(std::filesystem::file_size(file), kSmallest) << file;
  }
}

TEST_F(FigureExportTest, SaysWhatIsMissing) {
  const auto path = spec("step-time");
  // -S: without the folder of installed packages.
  how_.python = pretender("exec '" MUONLAB_JUDGE_PYTHON "' -I -S \"$@\"");
  expect_error(ErrorKind::kUnsupported,
               {"vl-convert-python", "No module named", "scripts/setup"},
               [&] { export_figures({path}, how_); });
  how_.python = folder_ / "absent";
  expect_error(ErrorKind::kUnsupported, {"absent", "No such file", "--python"},
               [&] { export_figures({path}, how_); });
  how_.script = folder_ / "absent.py";
  expect_error(ErrorKind::kIo, {"absent.py", "missing"},
               [&] { export_figures({path}, how_); });
}

TEST_F(FigureExportTest, PassesOnWhatTheScriptSays) {
  const auto path = spec("step-time");
  how_.python = pretender("echo no room; exit 1");
  expect_error(ErrorKind::kIo, {"export_figures.py", "1: no room"},
               [&] { export_figures({path}, how_); });
  how_.python = pretender("exit 0");
  expect_error(ErrorKind::kInternal, {"step-time.svg"},
               [&] { export_figures({path}, how_); });
}

TEST_F(FigureExportTest, RefusesAnUnknownFormat) {
  how_.formats = {"gif"};
  expect_error(ErrorKind::kInvalidArgument, {"gif", "svg, png, pdf"},
               [&] { export_figures({folder_ / "x.vl.json"}, how_); });
}

}  // namespace
}  // namespace muonlab::study
