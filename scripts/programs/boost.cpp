// Boost.Serialization: its registry of types is filled by constructors of this file and lives in the library.

#include <boost/archive/text_iarchive.hpp>
#include <boost/archive/text_oarchive.hpp>
#include <boost/serialization/base_object.hpp>
#include <boost/serialization/export.hpp>
#include <boost/serialization/shared_ptr.hpp>
#include <boost/serialization/vector.hpp>
#include <cstring>
#include <sstream>

struct Shape {
  virtual ~Shape() = default;
  virtual int area() const = 0;
  template <class Archive> void serialize(Archive &, unsigned) {}
};

struct Square : Shape {
  int side = 0;
  int area() const override { return side * side; }
  template <class Archive> void serialize(Archive &archive, unsigned) { archive &boost::serialization::base_object<Shape>(*this) & side; }
};

struct Box : Shape {
  int width = 0, height = 0;
  int area() const override { return width * height; }
  template <class Archive> void serialize(Archive &archive, unsigned) {
    archive &boost::serialization::base_object<Shape>(*this) & width & height;
  }
};

BOOST_CLASS_EXPORT(Square)
BOOST_CLASS_EXPORT(Box)

extern "C" int round_trip(int side, char *out, unsigned room) {
  std::vector<std::shared_ptr<Shape>> shapes;
  auto square = std::make_shared<Square>();
  square->side = side;
  auto box = std::make_shared<Box>();
  box->width = 2, box->height = side;
  shapes = {square, box, square};
  std::stringstream text;
  boost::archive::text_oarchive(text) << shapes;
  std::vector<std::shared_ptr<Shape>> read;
  boost::archive::text_iarchive(text) >> read;
  std::string said;
  for (const auto &shape : read) said += std::to_string(shape->area()) + " ";
  said += read.at(0) == read.at(2) ? "shared " : "copied ";
  try {
    std::istringstream broken("22 serialization::archive 19 999");
    boost::archive::text_iarchive archive(broken);
    archive >> read;
  } catch (const boost::archive::archive_exception &error) {
    said += error.what();
  }
  std::strncpy(out, said.c_str(), room);
  return static_cast<int>(said.size());
}
